//! `conche health`, where no host answers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::conche::Place;

/// Whoever says this to the first that asks, on a port of its own; and its URL.
fn somebody(says: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        assert!(stream.read(&mut asked).unwrap() > 0);
        stream.write_all(says.as_bytes()).unwrap();
    });
    url
}

#[test]
fn who_answers_otherwise_did_answer() {
    let url = somebody("INFO {\"server_id\":\"N\"}\r\n");
    let run = Place::new().run(&["health", "--url", &url]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    let expected = format!(
        "conche: {url}: answered `INFO {{\"server_id\":\"N\"}}`: is this /readyz of a Conche host?\n"
    );
    assert_eq!(run.stderr, expected);
}

#[test]
fn who_is_not_there_gave_no_answer() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/readyz", listener.local_addr().unwrap())
    };
    let run = Place::new().run(&["health", "--url", &url]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    let expected = format!("conche: no answer from {url}: Connection refused");
    assert!(run.stderr.starts_with(&expected), "{run:?}");
}

#[test]
fn a_url_of_another_kind_is_a_matter_of_usage() {
    let run = Place::new().run(&["health", "--url", "https://127.0.0.1:8081/readyz"]);
    assert_eq!((run.code, &*run.stdout), (Some(2), ""));
    insta::assert_snapshot!(run.stderr, @r"
    error: invalid value 'https://127.0.0.1:8081/readyz' for '--url <URL>': write http://HOST:PORT, a path after it or none

    For more information, try '--help'.
    ");
}
