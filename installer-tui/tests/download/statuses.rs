//! Statuses that are no success, and redirects.

use aegis_core::report::Hint;
use aegis_installer::download::Fault;

use super::{
    Place, faults, made, only_image,
    server::{Reply, Server},
};

#[test]
fn every_status_that_is_no_success_is_an_error_with_what_to_do() {
    let (place, (_, files)) = (Place::new(), made());
    for (status, asked) in [
        ("204 No Content", 1),
        ("206 Partial Content", 1),
        ("301 Moved", 1),
        ("304 Not Modified", 1),
        ("400 Bad Request", 1),
        ("401 Unauthorized", 1),
        ("403 Forbidden", 1),
        ("404 Not Found", 1),
        ("410 Gone", 1),
        ("416 Range Not Satisfiable", 1),
        ("429 Too Many Requests", 3),
        ("451 Unavailable For Legal Reasons", 1),
        ("500 Internal Server Error", 3),
        ("502 Bad Gateway", 3),
        ("503 Service Unavailable", 3),
        ("504 Gateway Timeout", 3),
        ("599 Odd", 3),
    ] {
        let server = Server::new(&files, move |_, _| Reply::status(status));
        let error = place.fetch(&place.wishes(&[&server])).0.unwrap_err();
        assert_eq!(faults(&error).len(), 1, "{status}");
        assert!(error.hint().is_some() && error.exit_code() == 1, "{status}: {error:?}");
        assert_eq!((server.asked().len(), place.names().len()), (asked, 0), "{status}");
    }
}

#[test]
fn what_a_server_says_about_an_error_is_told_without_control_characters() {
    let (place, (_, files)) = (Place::new(), made());
    let body = br#"{"title":"Forbidden","detail":"files of server need \u001b[31ma license"}"#;
    let server = Server::new(&files, |_, _| {
        let reply = Reply::status("403 Forbidden").with("Content-Length", &body.len().to_string());
        Reply { body: body.to_vec(), ..reply }
    });
    let error = place.fetch(&place.wishes(&[&server])).0.unwrap_err();
    let text = aegis_core::report::render(&error);
    assert!(text.contains("need ") && text.contains("a license") && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("--link"), "{text}");
}

#[test]
fn redirects_are_followed_a_few_times() {
    let (place, (made, files)) = (Place::new(), made());
    let target = Server::good(&files);
    let to = target.origin();
    let server = Server::new(
        &files,
        only_image(move |_, asked| match asked.target.strip_prefix("/1") {
            Some(rest) => Reply::redirect(&format!("{to}{rest}")),
            None => Reply::redirect(&format!("/1{}", asked.target)),
        }),
    );
    let (done, _) = place.fetch(&place.wishes(&[&server]));
    assert!(done.is_ok() && place.image() == made.content, "{done:?}");
    for to in
        ["", "/download/server/1.0.0/manifest.json", "//127.0.0.1/", "ftp://a/", "https://u:p@a/", "\u{7f}"]
    {
        let place = Place::new();
        let server = Server::new(&files, move |_, _| Reply::redirect(to));
        let error = place.fetch(&place.wishes(&[&server])).0.unwrap_err();
        let expected =
            matches!(faults(&error)[..], [Fault::Location | Fault::Redirects | Fault::Malformed(_)]);
        assert!(expected, "{to}: {error:?}");
        assert!(server.asked().len() <= 6 && place.names().is_empty());
    }
}
