//! `conche new`: a project to begin with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use conche::policy::PluginName;
use conche_kit::{Kind, Language, Project, create, missing_tools};

use super::output;

/// Make a plugin's project that builds, is tested and runs
#[derive(Debug, Args)]
#[command(after_help = "\
The project holds one source file with a handler, its tests, its policy, and
what its language's tools want. The SDK is unpacked into its .conche
directory, which no repository needs to hold: `conche build` makes it again.

Example:
  conche new hello --lang python && conche dev hello --build")]
pub(crate) struct New {
    /// Of the plugin: a to z, 0 to 9, `_` and `-`
    name: PluginName,
    /// The language
    #[arg(long, value_parser = PossibleValuesParser::new(Language::ALL.map(Language::name)))]
    lang: String,
    /// What it handles
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)), default_value = "query")]
    kind: String,
    /// Where [default: the name]
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl New {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.name.as_str();
        let dir = self.dir.unwrap_or_else(|| PathBuf::from(name));
        let language = Language::ALL.into_iter().find(|it| it.name() == self.lang);
        let kind = Kind::ALL.into_iter().find(|it| it.name() == self.kind);
        let (language, kind) = language.zip(kind).expect("clap takes only these");
        let project = create(&dir, name, language, kind)?;
        output::print(&next_steps(&project, &dir));
        Ok(ExitCode::SUCCESS)
    }
}

/// What to type next, so that it can be copied.
fn next_steps(project: &Project, dir: &Path) -> String {
    let (name, shown) = (&project.manifest.name, dir.display());
    let language = project.manifest.language;
    let mut text = format!("made {shown}, a plugin in {language}\n\n  cd {shown}\n");
    for line in missing_tools(project) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("  conche test            # its tests, without a server\n");
    text.push_str(
        "  conche dev . --build   # serve it; save a file, and the next call is answered anew\n",
    );
    let (path, ty) = if project.manifest.kind.handles_queries() {
        ("query", format!("cyverse.{name}.Greet"))
    } else {
        ("event", "org.cyverse.events.GreetingRequested".to_owned())
    };
    text.push_str(&format!(
        "  curl -s http://127.0.0.1:8080/{path} -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: /me' \\\n    \
         -H 'ce-type: {ty}' -H 'content-type: application/json' -d '{{\"name\":\"Ada\"}}'\n"
    ));
    text
}
