//! The table of `plugin!`, run by the double.

use super::*;

fn known(query: Query) -> Result<String, Fault> {
    Ok(query.handler.clone())
}

fn happened(event: Event) -> Result<(), EventError> {
    info!("{}", event.handler);
    let id = listeners::add(Listener::new("heard").types(["a.b"]))?;
    listeners::add(Listener::new("nobody").types(["a.b"]))
        .map_or(Ok(()), |_| Err(EventError::retry(id)))
}

fn heard(event: Event) -> Result<(), EventError> {
    info!("{:?}", event.listener);
    Ok(())
}

fn register(registration: &mut Registration) -> Result<(), config::ConfigError> {
    if config::parse::<bool>("default")?.unwrap_or(false) {
        registration.any_query("known");
    }
    if let Some(type_) = config::get("type") {
        registration.event("events", &[type_]);
    }
    Ok(())
}

conche_guest::plugin! {
    reusable,
    query ["cyverse.test.Op", "cyverse.test.Other"] => known,
    event "org.cyverse.events.test.Happened" => happened as "events",
    listener => heard,
    register => register,
}

#[test]
fn register_says_what_it_hears() {
    let mut host = Host::new();
    let registrations = PLUGIN.register(&mut host).unwrap();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        registrations,
        Registrations {
            queries: vec![pair("known", OP), pair("known", "cyverse.test.Other")],
            events: vec![pair("events", TYPE)],
            listeners: vec!["heard".to_owned()],
            reusable: true,
            ..Registrations::default()
        }
    );
    host.config("default", "maybe");
    let refused = PLUGIN.register(&mut host).unwrap_err();
    assert!(refused.starts_with("`default` in [config]"), "{refused}");
    host.config("default", "true").config("type", TYPE);
    let twice = format!("event type `{TYPE}` is registered twice");
    assert_eq!(PLUGIN.register(&mut host), Err(twice));
}

#[test]
fn the_registered_handler_runs_under_its_name() {
    let mut host = Host::new();
    let reply: String = PLUGIN.query(&mut host, query()).reply();
    assert_eq!(reply, "known");
    let outcome = PLUGIN.event(&mut host, event());
    assert_eq!(outcome.log[0].message, "events");
    let text = panic_of(|| PLUGIN.query(&mut host, Incoming::new("cyverse.test.No")));
    assert!(text.starts_with("no handler takes the query `cyverse.test.No`"));
    host.config("default", "true");
    let reply: String = PLUGIN
        .query(&mut host, Incoming::new("cyverse.test.No"))
        .reply();
    assert_eq!(reply, "known");
}

#[test]
fn listeners_name_what_is_registered_for_them() {
    let mut host = Host::new();
    let outcome = PLUGIN.event(&mut host, event());
    let [ListenerChange::Add(added)] = outcome.effects.listeners.as_slice() else {
        panic!("{outcome:?}");
    };
    let outcome = PLUGIN.event(&mut host, Incoming::new("a.b").heard_by(added));
    assert_eq!(outcome.log[0].message, format!("{:?}", Some(&added.id)));
}
