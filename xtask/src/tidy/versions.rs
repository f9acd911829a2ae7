//! One version: what the SDKs say theirs is, the workspace's is.

use super::Mistake;

const WORKSPACE: (&str, &str) = ("Cargo.toml", "version = \"");

/// Files, and what stands before the version in them.
const SDKS: [(&str, &str); 3] = [
    ("guest-sdk/c/conche.h", "version "),
    ("guest-sdk/js/package.json", "\"version\": \""),
    ("guest-sdk/python/pyproject.toml", "version = \""),
];

pub(super) fn judge(files: &[(String, String)], mistakes: &mut Vec<Mistake>) {
    let Some((_, version)) = find(files, WORKSPACE) else {
        return;
    };
    for sdk in SDKS {
        if let Some((line, own)) = find(files, sdk)
            && own != version
        {
            mistakes.push(Mistake {
                path: sdk.0.to_owned(),
                line,
                rule: "one-version",
                fix: format!("{own} is not the workspace's {version}"),
            });
        }
    }
}

/// The first version in a file, and its line.
fn find<'f>(files: &'f [(String, String)], place: (&str, &str)) -> Option<(usize, &'f str)> {
    let (path, before) = place;
    let (_, text) = files.iter().find(|(file, _)| file == path)?;
    let lines = text.lines().enumerate();
    let mut found = lines.filter_map(|(index, line)| {
        let (_, rest) = line.split_once(before)?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let version = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        (!version.is_empty()).then_some((index + 1, version))
    });
    found.next()
}
