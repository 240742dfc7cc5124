use std::time::Instant;

use super::*;
use crate::alert::model::Event;
use crate::alert::testing::message;

fn shell(script: &str, timeout: Duration) -> Command {
    Command::new(vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()], timeout)
}

async fn run(script: &str) -> Result<(), Unsent> {
    shell(script, Duration::from_secs(30)).send(&message(Event::Began), "gate-1").await
}

#[tokio::test]
async fn a_command_has_the_alert_on_its_input_and_in_its_environment_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let script = format!("cat > {}; env > {}", path("input"), path("environment"));
    assert_eq!(run(&script).await, Ok(()));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("input"), form::json(&message(Event::Began), "gate-1"));
    let environment = read("environment");
    assert!(environment.contains("PASSERELLE_ALERT_KIND=guard\n"), "{environment}");
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some(), "our own environment has more");
    assert!(!environment.contains("CARGO"), "{environment}");
}

#[tokio::test]
async fn a_command_that_fails_says_why() {
    let later = |text: &str| Err(Unsent::Later(text.to_owned()));
    assert_eq!(run("echo no pager >&2; echo >&2; exit 3").await, later("exit status: 3: no pager"));
    assert_eq!(run("exit 1").await, later("exit status: 1"));
    // It does not read its input, and more is on it than a pipe holds.
    let mut long = message(Event::Began);
    long.alert.text = "x".repeat(100_000);
    assert_eq!(shell("exit 0", Duration::from_secs(30)).send(&long, "h").await, Ok(()));
    let missing = Command::new(vec!["/nonexistent/page".to_owned()], Duration::from_secs(1));
    let Err(Unsent::Later(text)) = missing.send(&message(Event::Began), "h").await else { panic!("it was run") };
    assert!(text.starts_with("/nonexistent/page cannot be run: No such file"), "{text}");
}

#[tokio::test]
async fn a_command_is_killed_with_its_group_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let begun = Instant::now();
    let sent = shell(&script, Duration::from_secs(1)).send(&message(Event::Began), "h").await;
    assert_eq!(sent, Err(Unsent::Later("/bin/sh was killed: not done within 1 s".to_owned())));
    assert!(begun.elapsed() < Duration::from_secs(30));
    gone(&pid).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    // It keeps standard error open.
    assert_eq!(run(&format!("sleep 600 & echo $! > {}", pid.display())).await, Ok(()));
    gone(&pid).await;
}

/// Waits until the process whose id stands in the file is no more than a name.
async fn gone(file: &std::path::Path) {
    let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let begun = Instant::now();
    loop {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Nobody may be there to take in its end.
        if state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{pid} still runs: {state}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
