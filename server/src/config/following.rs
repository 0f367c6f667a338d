//! What of a configuration can change while the program runs.

use super::Config;

impl Config {
    /// The configuration that a running program goes on with when it reads `wanted`, and the keys whose new value needs a
    /// restart: sockets that are open, the database and the files below it, and what signed documents name.
    pub fn following(&self, mut wanted: Self) -> (Self, Vec<&'static str>) {
        let mut kept = Vec::new();
        keep("listen.public", &self.listen.public, &mut wanted.listen.public, &mut kept);
        keep("listen.redirect", &self.listen.redirect, &mut wanted.listen.redirect, &mut kept);
        keep("listen.watch", &self.listen.watch, &mut wanted.listen.watch, &mut kept);
        keep("site.origin", &self.site.origin, &mut wanted.site.origin, &mut kept);
        keep("storage.database", &self.storage.database, &mut wanted.storage.database, &mut kept);
        keep("storage.blobs", &self.storage.blobs, &mut wanted.storage.blobs, &mut kept);
        keep("storage.s3", &self.storage.s3, &mut wanted.storage.s3, &mut kept);
        keep("storage.secret", &self.storage.secret, &mut wanted.storage.secret, &mut kept);
        keep("otel.endpoint", &self.otel.endpoint, &mut wanted.otel.endpoint, &mut kept);
        // Paths of certificates can change; whether a socket speaks TLS cannot.
        if self.tls.is_some() != wanted.tls.is_some() {
            keep("tls", &self.tls, &mut wanted.tls, &mut kept);
        }
        (wanted, kept)
    }
}

fn keep<T: Clone + PartialEq>(key: &'static str, ours: &T, wanted: &mut T, kept: &mut Vec<&'static str>) {
    if ours != wanted {
        wanted.clone_from(ours);
        kept.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Tls};
    use super::*;

    fn tls(name: &str) -> Option<Tls> {
        Some(Tls { certificate: name.into(), key: name.into(), hsts_seconds: 1 })
    }

    #[test]
    fn what_is_bound_to_the_process_stays_and_is_named() {
        let (ours, mut wanted) = (Config::default(), Config::default());
        wanted.listen.public = vec!["127.0.0.1:1".into()];
        wanted.listen.redirect = vec!["127.0.0.1:2".into()];
        wanted.listen.acme_webroot = Some("x".into());
        wanted.listen.watch = String::new();
        wanted.listen.trusted_proxies = vec!["10.0.0.0/8".into()];
        wanted.site.origin = "https://a.example".into();
        wanted.site.operator = "Somebody".into();
        wanted.storage.database = "sqlite:x".into();
        wanted.storage.blobs = Place::Folder("x".into());
        wanted.downloads.redirect = false;
        wanted.storage.secret = "x".into();
        wanted.otel.endpoint = Some("x".into());
        wanted.tls = tls("a");
        wanted.limits.connections = 7;
        wanted.log.filter = "warn".into();
        wanted.mail.folder = "x".into();
        let (goes_on, kept) = ours.following(wanted.clone());
        assert_eq!(
            kept,
            [
                "listen.public",
                "listen.redirect",
                "listen.watch",
                "site.origin",
                "storage.database",
                "storage.blobs",
                "storage.secret",
                "otel.endpoint",
                "tls"
            ]
        );
        assert_eq!(goes_on.storage, ours.storage);
        assert_eq!(goes_on.tls, None);
        assert_eq!((goes_on.limits, goes_on.log, goes_on.mail), (wanted.limits, wanted.log, wanted.mail));
        assert_eq!((goes_on.downloads, ours.downloads.redirect), (wanted.downloads, true));
        assert_eq!(goes_on.site.operator, "Somebody");
        assert_eq!(goes_on.listen.acme_webroot, Some("x".into()));
        assert_eq!(goes_on.listen.trusted_proxies, ["10.0.0.0/8"]);
    }

    #[test]
    fn other_certificates_need_no_restart_and_none_do() {
        let ours = Config { tls: tls("a"), ..Config::default() };
        let other = Config { tls: tls("b"), ..Config::default() };
        assert_eq!(ours.following(other.clone()), (other, Vec::new()));
        assert_eq!(ours.following(Config::default()), (ours.clone(), vec!["tls"]));
    }
}
