//! JavaScript and TypeScript: esbuild makes one module of the author's files, the SDK and what they
//! import; an engine, QuickJS or StarlingMonkey, runs it once and becomes a component with it.
//!
//! QuickJS does not run promises in a call, so esbuild writes async functions with the SDK's own
//! (`guest-sdk/js/src/promise.js`); and its stacks name places in the one module, so the source map
//! goes into it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::manifest::{Engine, MANIFEST, Use};
use crate::project::Project;
use crate::sdk;
use crate::tool::{self, Tool};
use crate::world::WORLD;

const NODE: Tool = Tool {
    program: "node",
    beside: &[],
    version: &["--version"],
    least: &[20, 0],
    get: "https://nodejs.org/en/download",
};

const ESBUILD: Tool = Tool {
    program: "esbuild",
    beside: BIN,
    version: &["--version"],
    least: &[0, 25],
    get: "npm install --save-dev --save-exact esbuild@0.28.2",
};

const QUICKJS: Tool = Tool {
    program: "componentize-qjs",
    beside: BIN,
    version: &[],
    least: &[0, 4, 5],
    get: "npm install --save-dev --save-exact componentize-qjs@0.4.5",
};

const STARLINGMONKEY: Tool = Tool {
    program: "componentize-js",
    beside: BIN,
    version: &["--version"],
    least: &[0, 23],
    // It imports the second and does not name it among what it needs.
    get: "npm install --save-dev --save-exact @bytecodealliance/componentize-js@0.23.0 @bytecodealliance/preview2-shim@0.25.0",
};

const BIN: &[&str] = &["node_modules/.bin"];

/// Handed to esbuild as they are: the engines resolve them.
const HOST: [&str; 2] = ["conche:*", "wasi:*"];

pub(crate) fn build(project: &Project) -> Result<Vec<u8>> {
    let plugin = project
        .dir
        .join(format!("plugin.{}", project.manifest.language));
    if !plugin.is_file() {
        bail!(
            "no `{}`: the plugin's handlers are registered there",
            plugin.display()
        );
    }
    NODE.find(project)?;
    let [esbuild, engine] = [ESBUILD, engine(project)].map(|tool| listed(project, tool));
    let (esbuild, engine) = (esbuild.find(project)?, engine.find(project)?);
    let scratch = scratch(project)?;
    write_entry(project, &scratch)?;
    let module = bundle(project, &esbuild, &scratch)?;
    componentize(project, &engine, &scratch, &module)
}

fn engine(project: &Project) -> Tool {
    match project.manifest.js.engine {
        Engine::Quickjs => QUICKJS,
        Engine::Starlingmonkey => STARLINGMONKEY,
    }
}

/// The lines that get what is missing; one that gets several is said once.
pub(crate) fn missing(project: &Project) -> Vec<String> {
    let tools = [NODE, ESBUILD, engine(project)].map(|tool| listed(project, tool));
    let missing = tools.iter().filter(|tool| tool.find(project).is_err());
    let mut lines: Vec<_> = missing.map(|tool| tool.get.to_owned()).collect();
    lines.dedup();
    lines
}

/// What `package.json` lists is there once it is installed.
fn listed(project: &Project, tool: Tool) -> Tool {
    let text = fs::read_to_string(project.dir.join("package.json")).unwrap_or_default();
    let package: Value = serde_json::from_str(&text).unwrap_or_default();
    let names: &[&str] = match tool.program {
        "componentize-js" => &[
            "@bytecodealliance/componentize-js",
            "@bytecodealliance/preview2-shim",
        ],
        other => &[other],
    };
    let is_listed = names.iter().all(|name| {
        let kinds = ["devDependencies", "dependencies"];
        kinds.iter().any(|kind| package[kind].get(name).is_some())
    });
    let get = if is_listed { "npm install" } else { tool.get };
    Tool { get, ..tool }
}

/// Absolute: esbuild and the engines run in the project, where the author's paths are short.
fn scratch(project: &Project) -> Result<PathBuf> {
    let scratch = project.scratch();
    fs::create_dir_all(&scratch)
        .and_then(|()| scratch.canonicalize())
        .with_context(|| format!("cannot make `{}`", scratch.display()))
}

/// The two modules between the author's and the SDK's: what the component exports, and
/// `@conche/guest` with what the manifest says that the plugin uses.
fn write_entry(project: &Project, scratch: &Path) -> Result<()> {
    let manifest = &project.manifest;
    let kind = manifest.kind;
    let mut entry = format!(
        "import \"../sdk/src/{}.js\";\nimport {{ checkKind }} from \"../sdk/src/registry.js\";\nimport \"../../plugin.{}\";\n",
        manifest.js.engine.name(),
        manifest.language.name()
    );
    let mut exports = vec!["lifecycle"];
    exports.extend(kind.handles_queries().then_some("queryHandler"));
    exports.extend(kind.handles_events().then_some("eventHandler"));
    let exports = exports.join(", ");
    // Writing to a string cannot fail.
    let _ = write!(
        entry,
        "\ncheckKind(\"{}\");\nexport {{ {exports} }} from \"../sdk/src/exports.js\";\n",
        kind.name()
    );
    sdk::write(&scratch.join("entry.js"), entry.as_bytes())?;

    let mut guest = "export * from \"../sdk/src/index.js\";\n".to_owned();
    for used in &manifest.uses {
        let names = exported(*used).join(", ");
        let module = used.name();
        let _ = writeln!(
            guest,
            "export {{ {names} }} from \"../sdk/src/{module}.js\";"
        );
    }
    sdk::write(&scratch.join("guest.js"), guest.as_bytes())
}

/// What the SDK exports of an interface.
fn exported(used: Use) -> &'static [&'static str] {
    match used {
        Use::Emit => &["emit"],
        Use::Request => &["request", "requestAll"],
        Use::Exchange => &["exchange"],
        Use::Listeners => &["listeners"],
    }
}

/// All modules in one, `bundle.js`, which is what the SDK's `stack.js` looks for in stacks.
fn bundle(project: &Project, esbuild: &Path, scratch: &Path) -> Result<PathBuf> {
    let module = scratch.join("bundle.js");
    let mut command = Command::new(esbuild);
    command.arg(scratch.join("entry.js")).args([
        "--bundle",
        "--format=esm",
        "--charset=utf8",
        "--keep-names",
        "--sourcemap=external",
        "--sources-content=false",
        "--log-level=warning",
        "--log-override:import-is-undefined=error",
        "--main-fields=module,main",
        "--conditions=module",
    ]);
    command.args(HOST.map(|host| format!("--external:{host}")));
    if project.manifest.js.engine == Engine::Quickjs {
        command.args([
            "--supported:async-await=false",
            "--supported:async-generator=false",
            "--supported:for-await=false",
        ]);
    }
    let guest = scratch.join("guest.js");
    command
        .arg(format!("--alias:@conche/guest={}", guest.display()))
        .arg(format!("--outfile={}", module.display()))
        .current_dir(&project.dir);
    tool::run(&mut command).map_err(|error| explain(&error))?;
    embed_map(project, &module)?;
    Ok(module)
}

/// What esbuild says of the author's files, without how it was started or which of its options
/// would hide it. An import that `uses` does not name looks like one that the SDK does not have.
fn explain(error: &anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let (said, _) = text.rsplit_once("\n`esbuild").unwrap_or((&text, ""));
    let lines = said.lines().filter(|line| !line.contains("You can "));
    let said = lines.collect::<Vec<_>>().join("\n");
    let said = said.trim_end();
    let missing = Use::ALL.into_iter().find(|used| {
        let lacks = |name: &&str| {
            said.contains(&format!("for import \"{name}\""))
                || said.contains(&format!("Import \"{name}\" will always be undefined"))
        };
        said.contains("guest.js") && exported(*used).iter().any(lacks)
    });
    match missing {
        Some(used) => anyhow!(
            "{said}\n\nthe plugin does not say that it uses `{name}`: add \"{name}\" to `uses` in `{MANIFEST}`",
            name = used.name()
        ),
        None => anyhow!("{said}"),
    }
}

/// Puts the source map before the module, on a line of its own.
fn embed_map(project: &Project, module: &Path) -> Result<()> {
    let file = module.with_added_extension("map");
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    let map: Value = serde_json::from_str(&read(&file)?).context("esbuild wrote no source map")?;
    let sources = map["sources"].as_array().into_iter().flatten();
    let sources: Vec<_> = sources
        .filter_map(Value::as_str)
        .map(|source| shown(project, source))
        .collect();
    // The line before the module has no mappings.
    let mappings = format!(";{}", map["mappings"].as_str().unwrap_or_default());
    let embedded = json!({ "sources": sources, "mappings": mappings });
    let text = format!(
        "globalThis[Symbol.for(\"conche.map\")] = {embedded};\n{}",
        read(module)?
    );
    fs::write(module, text).with_context(|| format!("cannot write `{}`", module.display()))
}

/// A source as its author knows it, from what esbuild calls it: relative to the scratch directory.
fn shown(project: &Project, source: &str) -> String {
    if let Some(own) = source.strip_prefix("../../") {
        return own.to_owned();
    }
    if let Some(sdk) = source.strip_prefix("../sdk/src/") {
        return format!("@conche/guest/{sdk}");
    }
    format!("{}/.conche/build/{source}", project.manifest.name)
}

fn componentize(
    project: &Project,
    engine: &Path,
    scratch: &Path,
    module: &Path,
) -> Result<Vec<u8>> {
    let file = scratch.join("component.wasm");
    let wit = project
        .wit()
        .canonicalize()
        .context("the world is unpacked")?;
    let mut command = Command::new(engine);
    match project.manifest.js.engine {
        Engine::Quickjs => command
            .args(["--sync", "--world", WORLD, "--wit"])
            .arg(wit)
            .arg("--js")
            .arg(module)
            .arg("--output")
            .arg(&file),
        Engine::Starlingmonkey => command
            .arg(module)
            .args([
                "--world-name",
                WORLD,
                "--disable",
                "http",
                "--disable",
                "fetch-event",
                "--wit",
            ])
            .arg(wit)
            .arg("--out")
            .arg(&file),
    };
    // Modules are resolved below it, and there is one.
    command.current_dir(scratch);
    tool::run(&mut command).map_err(|error| without_engine(&error))?;
    fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))
}

/// What the author's module threw, without what the engine says round it.
fn without_engine(error: &anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let thrown = text.split_once("Failed to finish JavaScript module evaluation: ");
    match thrown {
        Some((_, thrown)) => {
            let (thrown, _) = thrown.split_once("\n`").unwrap_or((thrown, ""));
            anyhow!("the plugin cannot be loaded: {}", thrown.trim())
        }
        None => anyhow!(text),
    }
}
