//! What `build` and `dev --build` share: build a project, say what came of it, build again when a
//! source changes.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use conche::host::NoDirectory;
use conche::watch::Watch;
use conche_kit::{Built, MANIFEST, Project, Sources, build};

use super::{log, output};

/// A project that is built again and again.
#[derive(Debug)]
pub(super) struct Builder {
    dir: PathBuf,
    /// Where the component goes; in the project if it is not said.
    output: Option<PathBuf>,
    /// What the last build read, or why there was nothing to read.
    seen: Option<Result<Sources, String>>,
}

impl Builder {
    pub(super) fn new(dir: &Path, output: Option<&Path>) -> Builder {
        Builder {
            dir: dir.to_owned(),
            output: output.map(Path::to_owned),
            seen: None,
        }
    }

    /// Builds, and prints what was built or why not.
    ///
    /// # Errors
    /// What is printed already.
    pub(super) fn build(&mut self) -> Result<(Project, Built), AlreadySaid> {
        // Before the build: what is saved while it runs is built the next time.
        self.seen = Some(look(&self.dir));
        let project = Project::open(&self.dir).map_err(|error| AlreadySaid::say(&error))?;
        let began = Instant::now();
        let built = build(&project, self.output.as_deref())
            .with_context(|| format!("cannot build `{}`", project.manifest.name))
            .map_err(|error| AlreadySaid::say(&error))?;
        log::print(&summary(&built, began.elapsed().as_secs_f64()));
        Ok((project, built))
    }

    /// Whether a source is not as the last build saw it.
    fn is_stale(&self) -> bool {
        self.seen.as_ref() != Some(&look(&self.dir))
    }

    fn dirs(&self) -> Vec<PathBuf> {
        match &self.seen {
            Some(Ok(sources)) => sources.dirs.clone(),
            Some(Err(_)) | None => vec![self.dir.clone()],
        }
    }
}

/// The sources as they are now; a manifest with mistakes has none.
fn look(dir: &Path) -> Result<Sources, String> {
    let project = Project::open(dir).map_err(|error| format!("{error:#}"))?;
    Ok(Sources::of(&project))
}

/// An error that was printed where it happened, since work goes on after it.
#[derive(Debug)]
pub(super) struct AlreadySaid;

impl AlreadySaid {
    fn say(error: &anyhow::Error) -> AlreadySaid {
        output::error(error);
        AlreadySaid
    }
}

/// Builds whichever has a source that changed, for as long as the process runs; `done` gets what
/// was built.
pub(super) fn follow(
    mut builders: Vec<Builder>,
    mut done: impl FnMut(&Project, &Built),
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    loop {
        // Directories come and go with what an author does: watched anew after each build.
        let dirs: Vec<_> = builders.iter().flat_map(Builder::dirs).collect();
        let dirs: Vec<_> = dirs.iter().map(PathBuf::as_path).collect();
        let mut watch = {
            let _entered = runtime.enter();
            Watch::start(&dirs)
        };
        while !builders.iter().any(Builder::is_stale) {
            runtime.block_on(watch.changed(None));
        }
        for builder in builders.iter_mut().filter(|builder| builder.is_stale()) {
            if let Ok((project, built)) = builder.build() {
                done(&project, &built);
            }
        }
    }
}

/// Builds the projects in a directory, goes on to do so in the background, and answers where their
/// components are served from, each with its policy.
pub(super) fn serve(dir: &Path) -> anyhow::Result<PathBuf> {
    // First: where there is nothing to build, nothing is made.
    let projects = projects(dir)?;
    let served = dir.join(".conche/dev");
    // What a project was called before is not served any more.
    if served.exists() {
        std::fs::remove_dir_all(&served)?;
    }
    std::fs::create_dir_all(&served)?;
    let mut offers = Offers {
        dir: served.clone(),
        names: BTreeMap::new(),
        refused: Vec::new(),
    };
    let builders = projects.iter().map(|dir| Builder::new(dir, None));
    let mut builders: Vec<_> = builders.collect();
    for builder in &mut builders {
        if let Ok((project, built)) = builder.build() {
            offers.put(&project, &built)?;
        }
    }
    let follow = move || {
        let followed = follow(builders, |project, built| {
            if let Err(error) = offers.take(project, built) {
                output::error(&error);
            }
        });
        if let Err(error) = followed {
            output::error(&error.context("sources are no longer watched"));
        }
    };
    std::thread::Builder::new()
        .name("build".to_owned())
        .spawn(follow)?;
    Ok(served)
}

/// What lies where the host looks.
#[derive(Debug)]
struct Offers {
    dir: PathBuf,
    /// Under which name, by the project's directory.
    names: BTreeMap<PathBuf, String>,
    /// What could not be put there; nobody builds it again when it could.
    refused: Vec<(Project, Built)>,
}

impl Offers {
    /// Puts a component there, and then what was refused before and fits now.
    fn take(&mut self, project: &Project, built: &Built) -> anyhow::Result<()> {
        self.refused
            .retain(|(refused, _)| refused.dir != project.dir);
        if let Err(error) = self.put(project, built) {
            self.refused.push((project.clone(), built.clone()));
            return Err(error);
        }
        for (project, built) in std::mem::take(&mut self.refused) {
            if self.put(&project, &built).is_err() {
                // Of which somebody was told.
                self.refused.push((project, built));
            }
        }
        Ok(())
    }

    /// Puts a component there, after its policy; what its project was called before goes. Not if
    /// another project is called so: each would take the other's place with every build.
    fn put(&mut self, project: &Project, built: &Built) -> anyhow::Result<()> {
        let name = &project.manifest.name;
        let mut taken = self.names.iter();
        if let Some((other, _)) = taken.find(|(dir, of)| *of == name && **dir != project.dir) {
            anyhow::bail!(
                "`{}` and `{}` are both called `{name}`: change the name in the `{MANIFEST}` of one of them",
                other.display(),
                project.dir.display()
            );
        }
        let [policy, component] = self.files(name);
        let before = self.names.insert(project.dir.clone(), name.clone());
        if let Some(before) = before.filter(|before| before != name) {
            for file in self.files(&before) {
                remove(&file)?;
            }
        }
        match project.policy() {
            Some(file) => {
                let text = std::fs::read_to_string(&file)
                    .with_context(|| format!("cannot read `{}`", file.display()))?;
                let dir = file.parent().unwrap_or(&project.dir);
                conche_kit::place(moved(&text, dir).as_bytes(), &policy)?;
            }
            None => remove(&policy)?,
        }
        conche_kit::copy(&built.file, &component)
    }

    fn files(&self, name: &str) -> [PathBuf; 2] {
        ["toml", "wasm"].map(|kind| self.dir.join(format!("{name}.{kind}")))
    }
}

/// The text of a policy, to be read elsewhere: a relative `${file:PATH}` of it begins at `dir` still.
/// Nothing else changes, so that a mistake is told by the line that it was written in.
fn moved(text: &str, dir: &Path) -> String {
    const BEGIN: &str = "${file:";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, after) = rest.split_at(at + BEGIN.len());
        out.push_str(before);
        let path = after.split_once('}').map(|(path, _)| path);
        let is_relative = path.is_some_and(|path| !path.is_empty() && !path.starts_with('/'));
        // `$${` stands for `${`.
        if is_relative && !rest[..at].ends_with('$') {
            out.push_str(&dir.join("").to_string_lossy());
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Sees that there is no such file.
pub(super) fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", file.display()))
        }
        _ => Ok(()),
    }
}

/// The projects in a directory: itself, or those right below it.
pub(super) fn projects(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_project = |dir: &Path| dir.join(MANIFEST).is_file();
    if is_project(dir) {
        return Ok(vec![dir.to_owned()]);
    }
    let entries = std::fs::read_dir(dir).map_err(|cause| NoDirectory {
        holds: "projects",
        dir: dir.to_owned(),
        cause,
    })?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|dir| is_project(dir));
    found.sort();
    if found.is_empty() {
        let shown = dir.display();
        anyhow::bail!(
            "no `{MANIFEST}` in `{shown}` or right below it: make a plugin with `conche new NAME --lang LANGUAGE`"
        );
    }
    Ok(found)
}

/// What was built, in a line a person reads, and what it may ask for in a second.
fn summary(built: &Built, seconds: f64) -> String {
    let Built { file, bytes, .. } = built;
    let here = std::env::current_dir().unwrap_or_default();
    let file = file.strip_prefix(&here).unwrap_or(file);
    let handler = built.imports.iter().filter_map(|import| {
        let name = import.strip_prefix("conche:handler/")?;
        name.split('@').next()
    });
    let imports: Vec<_> = handler
        .filter(|name| !["types", "registration"].contains(name))
        .collect();
    let imports = match imports.as_slice() {
        [] => "nothing".to_owned(),
        imports => imports.join(" "),
    };
    format!(
        "built     {} ({}) in {seconds:.1} s\nimports   {imports}\n",
        file.display(),
        size(*bytes)
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use conche_kit::{Built, MANIFEST, Project};
    use tempfile::TempDir;

    use super::Offers;

    /// A place for projects, and what is served from it.
    fn place() -> (TempDir, Offers) {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("dev");
        std::fs::create_dir(&dir).unwrap();
        let (names, refused) = Default::default();
        let offers = Offers {
            dir,
            names,
            refused,
        };
        (place, offers)
    }

    /// A project of this name in that directory, as if it was built.
    fn project(dir: &Path, name: &str) -> (Project, Built) {
        std::fs::create_dir_all(dir).unwrap();
        let manifest = format!("name = \"{name}\"\nlanguage = \"c\"\nkind = \"query\"\n");
        std::fs::write(dir.join(MANIFEST), manifest).unwrap();
        let file = dir.join("built.wasm");
        std::fs::write(&file, dir.display().to_string()).unwrap();
        let built = Built {
            file,
            bytes: 0,
            imports: Vec::new(),
            exports: Vec::new(),
        };
        (Project::open(dir).unwrap(), built)
    }

    #[test]
    fn a_policy_reads_the_files_beside_it() {
        let (place, mut offers) = place();
        let dir = place.path().join("hello");
        let (project, built) = project(&dir, "hello");
        std::fs::write(
            dir.join("hello.toml"),
            "[config]\na = '${file:a} ${file:./b/c}' # ${env:D}\nb = \"$${file:e} ${file:/f} ${file:\"\n",
        )
        .unwrap();
        offers.put(&project, &built).unwrap();
        let served = std::fs::read_to_string(place.path().join("dev/hello.toml")).unwrap();
        let dir = dir.display();
        assert_eq!(
            served,
            format!(
                "[config]\na = '${{file:{dir}/a}} ${{file:{dir}/./b/c}}' # ${{env:D}}\n\
                 b = \"$${{file:e}} ${{file:/f}} ${{file:\"\n"
            )
        );
    }

    #[test]
    fn of_two_projects_with_one_name_the_first_is_served() {
        let (place, mut offers) = place();
        let [first, second] = ["first", "second"].map(|dir| place.path().join(dir));
        let served = |name: &str| std::fs::read_to_string(place.path().join("dev").join(name)).ok();
        let mut take = |dir: &Path, name: &str| {
            let (project, built) = project(dir, name);
            offers
                .take(&project, &built)
                .map_err(|error| error.to_string())
        };
        assert_eq!(take(&first, "a"), Ok(()));
        let error = take(&second, "a").unwrap_err();
        for named in [&first, &second] {
            assert!(error.contains(&*named.to_string_lossy()), "{error}");
        }
        assert_eq!(served("a.wasm").unwrap(), first.to_string_lossy());
        assert_eq!(take(&second, "b"), Ok(()));
        // Nor later, and its own goes on.
        assert!(take(&second, "a").is_err());
        assert_eq!(served("a.wasm").unwrap(), first.to_string_lossy());
        assert_eq!(served("b.wasm").unwrap(), second.to_string_lossy());
        // As soon as it can be, without another build.
        assert_eq!(take(&first, "c"), Ok(()));
        assert_eq!(served("a.wasm").unwrap(), second.to_string_lossy());
        assert_eq!(served("c.wasm").unwrap(), first.to_string_lossy());
        assert_eq!(served("b.wasm"), None);
    }
}
