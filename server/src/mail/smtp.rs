//! A mail server, by SMTP over TLS.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use serde::{Deserialize, Serialize};

use super::{Letter, Post, sender};
use crate::{Error, Result, store::Later};

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// TLS from the first byte (port 465).
    #[default]
    Tls,
    /// TLS after STARTTLS, without which nothing is sent (port 587).
    StartTls,
    /// None; taken for a server on this machine alone.
    Plain,
}

/// A mail server.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// A server by name and port, with a user and a password where it asks for them.
    ///
    /// # Errors
    /// [`Error::Config`] for a sender that is none, a name that is none, or [`Protection::Plain`] over a network.
    pub fn new(
        host: &str,
        port: u16,
        protection: Protection,
        credentials: Option<(String, String)>,
        from: &str,
    ) -> Result<Self> {
        let wrong = |problem: String| Error::Config {
            place: "mail.smtp.host".into(),
            problem,
            hint: "name a server that speaks TLS, or one on this machine".into(),
        };
        let tls =
            || TlsParameters::new(host.to_owned()).map_err(|error| wrong(format!("cannot be used: {error}")));
        let near = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let tls = match protection {
            Protection::Tls => Tls::Wrapper(tls()?),
            Protection::StartTls => Tls::Required(tls()?),
            Protection::Plain if near => Tls::None,
            Protection::Plain => {
                return Err(wrong("is over a network, and would get letters in plain text".into()));
            }
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls);
        let builder = builder.timeout(Some(Duration::from_secs(20)));
        let builder = match credentials {
            Some((user, password)) => builder.credentials(Credentials::new(user, password)),
            None => builder,
        };
        Ok(Self { transport: builder.build(), from: sender("mail.smtp.from", from)? })
    }
}

impl Post for Smtp {
    fn deliver<'a>(&'a self, letter: &'a Letter, id: &'a str) -> Later<'a, ()> {
        Box::pin(async move {
            let message = letter.message(&self.from, id)?;
            let sent = self.transport.send(message).await;
            // Of the server's answer only its number: its words may repeat the address.
            sent.map(drop).map_err(|error| {
                let said = match error.status() {
                    Some(code) => format!("the server answered {code}"),
                    None if error.is_tls() => "TLS failed".into(),
                    None if error.is_timeout() => "no answer in time".into(),
                    None => "the connection failed".into(),
                };
                Error::Io { doing: "sending", what: "a letter".into(), source: std::io::Error::other(said) }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    use super::*;

    /// A server that takes one letter, or refuses the recipient, and answers what was said to it.
    async fn converse(listener: TcpListener, refuse: bool) -> String {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (mut said, mut in_data) = (String::new(), false);
        stream.write_all(b"220 test\r\n").await.unwrap();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
                return said;
            }
            said.push_str(&line);
            let answer = match (in_data, line.trim_end()) {
                (true, ".") => "250 taken\r\n",
                (true, _) => continue,
                (false, "DATA") => "354 go on\r\n",
                (false, "QUIT") => return said,
                (false, text) if refuse && text.starts_with("RCPT") => "550 <a@b.de> is unknown\r\n",
                (false, _) => "250 good\r\n",
            };
            in_data = answer.starts_with("354");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_letter_goes_over_the_wire_and_a_refusal_is_told_without_the_address() {
        let from = "Aegis OS <no-reply@example.org>";
        let letter = Letter::new("a@b.de", "Hello", "one\n.\nRCPT TO:<c@d.de>\n").unwrap();
        for refuse in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = tokio::spawn(converse(listener, refuse));
            let smtp = Smtp::new("127.0.0.1", port, Protection::Plain, None, from).unwrap();
            let sent = smtp.deliver(&letter, "77").await;
            drop(smtp);
            let said = server.await.unwrap();
            assert!(said.contains("MAIL FROM:<no-reply@example.org>\r\nRCPT TO:<a@b.de>\r\n"), "{said}");
            match sent {
                Ok(()) => assert!(!refuse && said.contains("\r\n..\r\n"), "a lone dot is doubled: {said}"),
                Err(error) => {
                    let text = aegis_core::report::render(&error);
                    assert!(refuse && text.contains("550") && !text.contains("a@b.de"), "{text}");
                }
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_to_a_server_that_offers_no_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(converse(listener, false));
        let from = "Aegis OS <no-reply@example.org>";
        let user = Some(("user".into(), "password".into()));
        let smtp = Smtp::new("127.0.0.1", port, Protection::StartTls, user, from).unwrap();
        let letter = Letter::new("a@b.de", "Hello", "one").unwrap();
        assert!(smtp.deliver(&letter, "77").await.is_err());
        drop(smtp);
        let said = server.await.unwrap();
        assert!(!said.contains("AUTH") && !said.contains("MAIL"), "{said}");
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        let from = "Aegis OS <no-reply@example.org>";
        assert!(Smtp::new("127.0.0.1", 25, Protection::Plain, None, from).is_ok());
        for host in ["mail.example.org", "192.0.2.1", "localhost.example.org"] {
            assert!(Smtp::new(host, 25, Protection::Plain, None, from).is_err(), "{host}");
        }
    }
}
