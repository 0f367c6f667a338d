//! One suite on SQLite and on a real PostgreSQL.

use std::{future::Future, sync::Arc};

use aegis_server::{
    Clock,
    store::{self, Store},
};

use crate::server;

/// A database for one test, with what must live as long.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Option<Arc<server::Server>>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite:{}", folder.path().join("db").display()), folder, server: None }
    }

    pub(crate) fn postgres() -> Self {
        let server = server::shared();
        Self { url: server.database(), folder: tempfile::tempdir().unwrap(), server: Some(server) }
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        store::open(&self.url, &Clock::default()).await.unwrap()
    }
}

/// Runs a test on threads, as the server runs.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test());
}

/// Makes two tests of each function that takes a [`Place`].
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $( #[test] fn $name() { crate::both::run(|| super::$name(crate::both::Place::sqlite())); } )*
        }
        mod postgres {
            $( #[test] fn $name() { crate::both::run(|| super::$name(crate::both::Place::postgres())); } )*
        }
    };
}
pub(crate) use on_both;
