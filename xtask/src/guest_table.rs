//! `cargo xtask guests --table`: what a plugin costs in each language, measured on the greeter and
//! written into README. Knows what a user types; what is measured in the sandbox is `conche-bench`'s.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{guests, languages, shell, toolchains, workspace::Workspace};

/// Between these lines README has the table.
const BEGIN: &str = "<!-- cargo xtask guests --table -->";
const END: &str = "<!-- end -->";

const HEADING: [&str; 12] = [
    "language",
    "built with",
    "component",
    "`conche new` to answer",
    "first build",
    "next",
    "compile",
    "fresh call",
    "warm call",
    "memory",
    "resident",
    "growth",
];

/// In the order of the table: as `--lang` names them, as people do, and where the handler is.
const LANGUAGES: [(&str, &str, &str); 7] = [
    ("rust", "Rust", "src/lib.rs"),
    ("js", "JavaScript", "plugin.js"),
    ("ts", "TypeScript", "plugin.ts"),
    ("python", "Python", "plugin.py"),
    ("go", "Go", "plugin.go"),
    ("c", "C", "plugin.c"),
    ("zig", "Zig", "plugin.zig"),
];

/// From nothing to the first answer, as a user goes there, and on.
struct First {
    build: Duration,
    answer: Duration,
    /// Of a source that was saved again.
    next_build: Duration,
}

pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let built = guests::build(workspace)?;
    // Both in one call: cargo then chooses one set of features, and builds wasmtime once.
    let mut build = shell::cargo(["build", "--release", "--workspace"]);
    build.args(["--bin", "conche", "--bin", "conche-bench"]);
    shell::run(build.current_dir(&workspace.root))?;
    let programs = workspace.target.join("release");
    languages::build(workspace, &programs.join("conche"))?;
    let path = toolchains::path(workspace)?;

    let mut table = row(HEADING.map(str::to_owned));
    table.push_str(&row(HEADING.map(|_| "--:".to_owned())).replacen("--:|--:", "---|---", 1));
    for (language, shown, source) in LANGUAGES {
        let component = built.plugins.with_file_name(language).join("greeter.wasm");
        let mut bench = Command::new(programs.join("conche-bench"));
        let measured = shell::read(bench.arg("guest").arg(&component))?;
        let measured: Value = serde_json::from_str(&measured)?;
        let scratch = workspace.target.join("tmp/first-answer").join(language);
        let first = first(
            &programs.join("conche"),
            &path,
            (language, source),
            &scratch,
        )?;
        table.push_str(&cells(workspace, (language, shown), &measured, &first)?);
    }
    println!("\n{table}");
    replace(&workspace.root.join("README.md"), &table)
}

/// `conche new`, `conche build`, `conche call`, as after the tools were installed: nothing was built
/// with them yet. Then a source is saved, and built again.
fn first(
    conche: &Path,
    path: &OsStr,
    (language, source): (&str, &str),
    scratch: &Path,
) -> Result<First> {
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    fs::create_dir_all(scratch)?;
    let began = Instant::now();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(conche);
        command.args(arguments).current_dir(scratch);
        // Where the toolchains and the host keep what they compiled: nothing of that must count.
        command.env("PATH", path).env("XDG_CACHE_HOME", scratch);
        shell::read(&mut command)
    };
    run(&["new", "hello", "--lang", language])?;
    let building = Instant::now();
    run(&["build", "hello"])?;
    let build = building.elapsed();
    let asked = ["call", "hello/hello.wasm", "cyverse.hello.Greet"];
    let said = run(&[&asked[..], &[r#"{"name":"Ada"}"#]].concat())?;
    ensure!(
        said.contains("Hello, Ada!"),
        "the first answer in {language} was: {said}"
    );
    let answer = began.elapsed();
    let source = scratch.join("hello").join(source);
    let text = fs::read_to_string(&source)?;
    fs::write(&source, text.replace("Hello", "Howdy"))?;
    let building = Instant::now();
    run(&["build", "hello"])?;
    Ok(First {
        build,
        answer,
        next_build: building.elapsed(),
    })
}

fn cells(
    workspace: &Workspace,
    (language, shown): (&str, &str),
    measured: &Value,
    first: &First,
) -> Result<String> {
    let number = |key: &str| {
        let number = measured[key].as_f64();
        number.with_context(|| format!("`conche-bench guest` printed no `{key}` for {language}"))
    };
    Ok(row([
        shown.to_owned(),
        toolchains::label(workspace, language)?,
        size(number("bytes")?),
        time(first.answer.as_secs_f64()),
        time(first.build.as_secs_f64()),
        time(first.next_build.as_secs_f64()),
        time(number("compile_ms")? / 1e3),
        time(number("fresh_us")? / 1e6),
        time(number("warm_us")? / 1e6),
        size(number("memory_bytes")?),
        size(number("resident_bytes")?),
        match number("grown_bytes")? {
            0.0 => "none".to_owned(),
            grown => size(grown),
        },
    ]))
}

fn row(cells: [String; HEADING.len()]) -> String {
    format!("|{}|\n", cells.map(|cell| pad(&cell)).join("|"))
}

/// Blanks around words, not around the line under the heading.
fn pad(cell: &str) -> String {
    if cell.starts_with("--") {
        cell.to_owned()
    } else {
        format!(" {cell} ")
    }
}

fn time(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{} µs", short(seconds * 1e6))
    } else if seconds < 1.0 {
        format!("{} ms", short(seconds * 1e3))
    } else {
        format!("{} s", short(seconds))
    }
}

fn size(bytes: f64) -> String {
    if bytes < 1e6 {
        format!("{} KB", short(bytes / 1e3))
    } else {
        format!("{} MB", short(bytes / 1e6))
    }
}

/// Two significant digits or the whole part: the rest is noise.
fn short(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

fn replace(file: &Path, table: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        bail!(
            "{} has no line `{BEGIN}` with a line `{END}` after it",
            file.display()
        );
    };
    fs::write(file, format!("{before}{BEGIN}\n{table}{END}{after}"))?;
    Ok(())
}
