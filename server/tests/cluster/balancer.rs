//! A balancer of connections: each goes to the next process, and to the one after it when that one is gone.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Listens on a port of its own until the process of the tests ends.
pub(crate) fn in_front_of(processes: [SocketAddr; 2]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let turn = AtomicUsize::new(0);
        for client in listener.incoming().flatten() {
            let first = turn.fetch_add(1, Ordering::Relaxed);
            let open = |number| TcpStream::connect(processes[number % 2]);
            if let Ok(process) = open(first).or_else(|_gone| open(first + 1)) {
                join(client, process);
            }
        }
    });
    address
}

fn join(client: TcpStream, process: TcpStream) {
    let (Ok(client_again), Ok(process_again)) = (client.try_clone(), process.try_clone()) else { return };
    thread::spawn(move || pass(client, process));
    thread::spawn(move || pass(process_again, client_again));
}

/// Passes bytes on in one direction until its end, and the end too.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
