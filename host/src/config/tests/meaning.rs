//! What values of several keys mean together: who we are, where events go.

use super::*;

#[test]
fn who_we_are_may_stand_in_the_url() {
    let check = |urls: &str, expected: Auth| {
        let config = of_env(&[("NATS_URL", urls)]);
        assert_eq!(config.nats.auth, expected, "{urls}");
    };
    let user = |user: &str, password: &str| Auth::UserPassword {
        user: user.to_owned(),
        password: Secret::new(password),
    };
    check("nats://a:4222", Auth::None);
    check("nats://u:pw@a:4222", user("u", "pw"));
    check("u:pw@a", user("u", "pw"));
    check("nats://u:p%40%3Aw@a,nats://b", user("u", "p@:w"));
    check("nats://a,tls://u:pw@b,tls://u:pw@c", user("u", "pw"));
    check("nats://t0ken@a", Auth::Token(Secret::new("t0ken")));
    check("nats://@a", Auth::None);
}

#[test]
fn who_names_certificates_means_tls() {
    let required = |tls: &str| {
        of_file(&format!("[nats]\ntls = {{ {tls} }}\n"))
            .nats
            .tls
            .required
    };
    assert!(required("ca = 'ca.pem'"));
    assert!(required("cert = 'c.pem', key = '/k.pem'"));
    assert!(!required("ca = 'ca.pem', required = false"));
    assert!(!required(""));
}

#[test]
fn an_event_goes_to_one_subject_and_is_heard_on_all() {
    let check = |text: &str, sent: &str, heard: &[&str]| {
        let config = of_file(text);
        let ty = "org.cyverse.events.A";
        assert_eq!(config.event_subject(ty).as_deref(), Some(sent), "{text}");
        assert_eq!(config.heard_subjects(ty), heard, "{text}");
    };
    let ty = "org.cyverse.events.A";
    check("", ty, &[ty]);
    check("compat.event_subject = 'type'", ty, &[ty]);
    let (new, old) = ("org.cyverse.events.new", "org.cyverse.events.old");
    check(&format!("compat.event_subject = '{old}'"), old, &[old]);
    let both = format!("compat.event_subject = ['{new}', '{old}']");
    check(&both, new, &[new, old]);
    let line = format!("compat.event_subject = {new},{old} (etc/conche.toml:1)");
    assert!(lines(&of_file(&both)).contains(&line));
}

#[test]
fn the_source_names_host_and_plugin() {
    assert_eq!(
        of_file("").source_of(&"users".parse().unwrap()),
        "/conche/pod-1/users"
    );
}

#[test]
fn other_subject_needs_a_prefix() {
    assert_eq!(
        of_file("").events.other_subject().as_deref(),
        Some("org.cyverse.events._other")
    );
    assert_eq!(
        of_file("events.subjects = ['a.b', 'c.*.>']")
            .events
            .other_subject(),
        None
    );
}
