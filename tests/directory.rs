//! The directory that plugins lie in: links, other file systems, and when it is not there.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use conche::host::{Host, Runtimes};
use conche::sandbox::Digest;

use crate::reload::{GET, version, with_v1};
use crate::support::{Setup, TestHost, bytes, guest};

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_file_is_refused_unread_and_the_old_version_serves() {
    let host = with_v1().await;
    let huge = File::create(host.dir.path().join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    std::fs::rename(host.dir.path().join("huge"), host.path("versioned")).unwrap();
    host.refuses("versioned", "has 1099511627776 bytes, more than the ")
        .await;
    assert_eq!(version(&host).await, "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_other_names_are_passed_over_with_a_reason() {
    let host = TestHost::start(&[]).await;
    for name in ["Users.wasm", "users.cwasm"] {
        std::fs::write(host.dir.path().join(name), "x").unwrap();
    }
    let report = host.reports(|report| report.passed_over.len() == 2).await;
    let reasons: Vec<_> = report.passed_over.values().map(String::as_str).collect();
    assert_eq!(
        reasons,
        [
            "plugin name `Users` has the character 'U': only a-z, 0-9, `_` and `-` are taken, such as `users`",
            "is compiled machine code, which is never loaded: drop the .wasm component",
        ]
    );
    assert!(report.plugins.is_empty(), "{report:?}");
}

/// `versioned.wasm` → `..data/versioned.wasm`, `..data` → a directory with a date: what a
/// Kubernetes ConfigMap looks like, and an update is one rename of `..data`.
#[tokio::test(flavor = "multi_thread")]
async fn a_symbolic_link_that_switches_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let release = |name: &str, from: &str| {
        let release = dir.path().join(name);
        std::fs::create_dir(&release).unwrap();
        std::fs::copy(guest(from), release.join("versioned.wasm")).unwrap();
        symlink(name, dir.path().join("..data_tmp")).unwrap();
        std::fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    };
    release("..2026_01", "versioned_v1");
    symlink("..data/versioned.wasm", dir.path().join("versioned.wasm")).unwrap();
    let setup = Setup {
        plugins: Some(dir.path()),
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    assert_eq!(version(&host).await, "1.0.0");
    release("..2026_02", "versioned_v2");
    host.ask_until(GET, "{}", |answer| answer.contains("2.0.0"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_directory_that_is_missing_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    let config = Setup::default().config(&none);
    let error = Host::start(config, &Runtimes::one())
        .await
        .unwrap_err()
        .to_string();
    let expected = format!(
        "plugins directory `{}` does not exist: create it, or name another",
        none.display()
    );
    assert_eq!(error, expected);
}

/// As root no permission keeps us out; a link to itself leads nowhere, and is there.
#[tokio::test(flavor = "multi_thread")]
async fn so_is_one_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink("link", &link).unwrap();
    let config = Setup::default().config(&link);
    let error = Host::start(config, &Runtimes::one()).await.unwrap_err();
    let expected = format!("plugins directory `{}` cannot be read: ", link.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policies_directory_that_is_missing_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup {
        config: "plugins.policies = '/none'",
        ..Setup::default()
    };
    let error = Host::start(setup.config(dir.path()), &Runtimes::one())
        .await
        .unwrap_err()
        .to_string();
    let expected = "policies directory `/none` does not exist: create it, or name another";
    assert_eq!(error, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_policies_directory_is_away_nothing_changes() {
    let base = tempfile::tempdir().unwrap();
    let (policies, aside) = (base.path().join("policies"), base.path().join("aside"));
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("greeter.toml"), "limits.deadline = '1234ms'").unwrap();
    let config = format!("plugins.policies = '{}'", policies.display());
    let setup = Setup {
        guests: &["greeter"],
        config: &config,
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let before = host.serving("greeter").unwrap();
    std::fs::rename(&policies, &aside).unwrap();
    let away = host.reports(|report| !report.unreadable.is_empty()).await;
    host.reports(|report| report.looks > away.looks + 1).await;
    std::fs::rename(&aside, &policies).unwrap();
    host.reports(|report| report.unreadable.is_empty()).await;
    assert!(Arc::ptr_eq(&before, &host.serving("greeter").unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serves_goes_on_while_the_directory_is_away() {
    let base = tempfile::tempdir().unwrap();
    let (plugins, aside) = (base.path().join("plugins"), base.path().join("aside"));
    let fill = |from: &str| {
        std::fs::create_dir(&plugins).unwrap();
        std::fs::copy(guest(from), plugins.join("versioned.wasm")).unwrap();
    };
    fill("versioned_v1");
    let setup = Setup {
        plugins: Some(&plugins),
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    std::fs::rename(&plugins, &aside).unwrap();
    let away = host.reports(|report| !report.unreadable.is_empty()).await;
    assert_eq!(away.plugins.len(), 1);
    assert_eq!(version(&host).await, "1.0.0");
    fill("versioned_v2");
    host.ask_until(GET, "{}", |answer| answer.contains("2.0.0"))
        .await;
    let back = host.reports(|report| report.unreadable.is_empty()).await;
    let digest = back.plugins.values().next().unwrap().digest;
    assert_eq!(digest, Some(Digest::of(&bytes("versioned_v2"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_may_lie_on_another_file_system() {
    let memory = Path::new("/dev/shm");
    assert!(memory.is_dir(), "this test needs a tmpfs at /dev/shm");
    let dir = tempfile::tempdir_in(memory).unwrap();
    let setup = Setup {
        plugins: Some(dir.path()),
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let file = dir.path().join("versioned.wasm");
    for (guest, version) in [("versioned_v1", "1.0.0"), ("versioned_v2", "2.0.0")] {
        std::fs::write(&file, bytes(guest)).unwrap();
        host.ask_until(GET, "{}", |answer| answer.contains(version))
            .await;
    }
    std::fs::remove_file(&file).unwrap();
    host.reports(|report| report.plugins.is_empty()).await;
}

/// A secret that is no file would be waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_policy_that_names_a_pipe_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let pipe = base.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let host = TestHost::start(&["versioned_v1"]).await;
    let text = format!("config.token = '${{file:{}}}'", pipe.display());
    host.put_policy("versioned_v1", &text);
    host.refuses("versioned_v1", "is no regular file").await;
    assert_eq!(version(&host).await, "1.0.0");
}
