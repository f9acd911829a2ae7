//! `cargo xtask`: the table of tasks and which function does each. No task's own logic lives here.

use std::{env, process::ExitCode};

use anyhow::{Result, bail};

use crate::workspace::Workspace;

mod bench;
mod check;
mod demo;
mod go;
mod guests;
mod image;
mod languages;
mod nats_server;
mod sdks;
mod shell;
mod test;
mod tidy;
mod toolchains;
mod wheel;
mod workspace;

struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "demo",
        arguments: "[--once]",
        about: "build the example plugins, start a host, send a query and an event; stay up, or stop with --once",
        run: demo::run,
    },
    Task {
        name: "test",
        arguments: "[FILTER]",
        about: "build what the tests need and run them all, or those whose name contains FILTER; js and python also run that SDK's own",
        run: test::run,
    },
    Task {
        name: "bench",
        arguments: "[NAME]",
        about: "measure the host against native Rust: query, event, call or host; everything unless named; --json FILE; --help",
        run: bench::run,
    },
    Task {
        name: "check",
        arguments: "",
        about: "formatting, clippy, go vet, the client feature without wasmtime, docs, tidy",
        run: |workspace, arguments| none(arguments).and_then(|()| check::run(workspace)),
    },
    Task {
        name: "tidy",
        arguments: "",
        about: "the repository's own rules: who may use what, file sizes, headers",
        run: |workspace, arguments| none(arguments).and_then(|()| tidy::run(workspace)),
    },
    Task {
        name: "guests",
        arguments: "[rust]",
        about: "build plugins/*/* to target/plugins and tests/guests/* to target/guests; or those in Rust alone",
        run: languages::run,
    },
    Task {
        name: "image",
        arguments: "[--test]",
        about: "build the container image (--profile dev: faster; --tag TAG), and with --test ask a plugin in it over NATS",
        run: image::run,
    },
    Task {
        name: "nats-server",
        arguments: "",
        about: "print the path of the pinned nats-server, fetching it first if it is missing",
        run: |workspace, arguments| {
            none(arguments)?;
            println!("{}", nats_server::path(workspace)?.display());
            Ok(())
        },
    },
];

fn main() -> ExitCode {
    match dispatch(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", listing());
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", listing());
        return Ok(());
    }
    match TASKS.iter().find(|task| task.name == name) {
        Some(task) => (task.run)(&Workspace::find()?, rest),
        None => bail!("no task `{name}`\n\n{}", listing()),
    }
}

fn listing() -> String {
    let mut text = String::from("cargo xtask TASK\n\n");
    for Task {
        name,
        arguments,
        about,
        ..
    } in TASKS
    {
        let call = format!("{name} {arguments}");
        text.push_str(&format!("  {call:<16} {about}\n"));
    }
    text
}

fn none(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        Some(extra) => bail!("this task takes no arguments, but got `{extra}`"),
        None => Ok(()),
    }
}
