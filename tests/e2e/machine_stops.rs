//! The machine, not the process, stops: what was not synced is lost, and nothing that was acknowledged is.
//!
//! `strace` tells what the daemon wrote and what it synced. At a random moment the daemon is frozen and its state is
//! copied; then every file of the copy is cut to what its last finished sync covered, the daemon is killed, and the next one
//! starts on the copy.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;

use crate::shop::{self, Shopping};
use crate::world::World;

const STOPS: u32 = 6;
const CALLS: &str = "trace=open,openat,creat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_machine_that_stops() {
    let world = World::new(shop::TABLES, &shop::mappings()).await;
    let client = world.server.client("postgres").await.unwrap();
    let mut shopping = Shopping::new(7);
    let mut dice = StdRng::seed_from_u64(7);
    let mut lost_bytes = 0;
    for stop in 0..STOPS {
        let trace = world.state_dir().with_extension(format!("trace{stop}"));
        let file = trace.display().to_string();
        let tracer = ["strace", "-D", "-f", "-y", "-s", "0", "--seccomp-bpf", "-e", CALLS, "-o", &file, "--"];
        world.daemon.borrow_mut().start_under(&tracer, None);
        if stop > 0 {
            world.answering().await;
        } else {
            world.settled().await;
        }
        for _ in 0..dice.random_range(20..60) {
            if client.batch_execute(&shopping.transaction()).await.is_err() {
                client.batch_execute("rollback").await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..300))).await; // the moment is random
        lost_bytes += stop_machine(&world, &trace).await;
        // A slot that was confirmed further than the state knows is refused by the daemon: then this fails.
    }
    assert!(lost_bytes > 0, "nothing was cut in {STOPS} stops: this test tests nothing");
    world.start().await;
    world.settled().await;
    shop::assert_equal(&world).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

/// Freezes the daemon, keeps of its state what was synced, and kills it. Gives how many bytes were lost.
async fn stop_machine(world: &World, trace: &Path) -> u64 {
    let pid = world.daemon.borrow().pid();
    world.daemon.borrow().signal(Signal::STOP);
    world.until("every thread to be frozen", async || is_frozen(pid).then_some(())).await;
    let (state, copy) = (world.state_dir(), world.state_dir().with_extension("copy"));
    let copied = Command::new("cp").arg("-r").arg(&state).arg(&copy).status().unwrap();
    assert!(copied.success());
    world.daemon.borrow_mut().kill();
    let traced = world.until("strace to write its last line", async || {
        let text = std::fs::read_to_string(trace).ok()?;
        text.trim_end().lines().last()?.contains("+++ killed by SIGKILL +++").then_some(text)
    });
    let synced = Synced::read(&traced.await);
    assert!(!synced.0.is_empty(), "strace saw no write (does this machine allow ptrace?)");
    let mut lost = 0;
    for (path, file) in &synced.0 {
        let Ok(below) = path.strip_prefix(&state) else { continue };
        let Ok(opened) = std::fs::File::options().write(true).open(copy.join(below)) else { continue };
        let length = opened.metadata().unwrap().len();
        let kept = length.min(file.synced);
        opened.set_len(kept).unwrap();
        lost += length - kept;
    }
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::rename(&copy, &state).unwrap();
    lost
}

fn is_frozen(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let mut threads =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default());
    // The state follows the name, which is in parentheses.
    threads.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't', 'Z'])))
}

/// What a trace says of the files that were written while it ran.
#[derive(Debug, Default)]
struct Synced(HashMap<PathBuf, Extent>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    written: u64,
    synced: u64,
}

impl Synced {
    /// Reads what `strace -f -y` printed. Files are only appended to, or made anew.
    fn read(trace: &str) -> Self {
        let mut synced = Self::default();
        // Calls that other threads' lines interrupt: by thread, the call's beginning and, of a sync, what it covers.
        let mut unfinished: HashMap<&str, (String, u64)> = HashMap::new();
        for line in trace.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            if let Some(begun) = call.strip_suffix("<unfinished ...>") {
                let covers = described(begun).and_then(|path| synced.0.get(&path)).map_or(0, |file| file.written);
                unfinished.insert(thread, (begun.to_owned(), covers));
            } else if call.starts_with("<... ") {
                let Some((begun, covers)) = unfinished.remove(thread) else { continue };
                let Some((_, rest)) = call.split_once("resumed>") else { continue };
                synced.note(&format!("{begun}{rest}"), Some(covers));
            } else {
                synced.note(call, None);
            }
        }
        synced
    }

    fn note(&mut self, call: &str, covers: Option<u64>) {
        let Some((begun, result)) = call.rsplit_once(" = ") else { return };
        let Some(name) = begun.split('(').next() else { return };
        let Ok(result) = result.split(['<', ' ']).next().unwrap_or_default().parse::<i64>() else { return };
        if result < 0 {
            return;
        }
        match name {
            "write" | "pwrite64" | "writev" => {
                if let Some(path) = described(begun) {
                    self.0.entry(path).or_default().written += result.unsigned_abs();
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(file) = described(begun).and_then(|path| self.0.get_mut(&path)) {
                    file.synced = file.synced.max(covers.unwrap_or(file.written));
                }
            }
            "open" | "openat" | "creat" if begun.contains("O_TRUNC") || begun.contains("O_EXCL") || name == "creat" => {
                self.0.extend(quoted(begun).next().map(|path| (path, Extent::default())));
            }
            "rename" | "renameat" | "renameat2" => {
                let mut paths = quoted(begun);
                if let (Some(from), Some(to)) = (paths.next(), paths.next())
                    && let Some(file) = self.0.remove(&from)
                {
                    self.0.insert(to, file);
                }
            }
            _ => {}
        }
    }
}

/// The file behind the first descriptor of a call: `write(12</path>, …`.
fn described(call: &str) -> Option<PathBuf> {
    let (_, rest) = call.split_once('<')?;
    Some(PathBuf::from(rest.split('>').next()?)).filter(|path| path.is_absolute())
}

/// The paths in quotes of a call.
fn quoted(call: &str) -> impl Iterator<Item = PathBuf> {
    call.split('"').skip(1).step_by(2).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[test]
fn traces_are_read_as_strace_prints_them() {
    let trace = "\
10 openat(AT_FDCWD</>, \"/s/1.log\", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644) = 5</s/1.log>
10 write(5</s/1.log>, \"\"..., 100) = 100
11 fdatasync(5</s/1.log> <unfinished ...>
10 write(5</s/1.log>, \"\"..., 30) = 30
11 <... fdatasync resumed>)          = 0
12 fdatasync(5</s/1.log> <unfinished ...>
10 write(6</s/2.tmp>, \"\"..., 7 <unfinished ...>
10 <... write resumed>)              = 7
10 fsync(6</s/2.tmp>)                = 0
10 rename(\"/s/2.tmp\", \"/s/2\")      = 0
10 fdatasync(6</s/gone>)             = -1 EIO (Input/output error)
10 +++ killed by SIGKILL +++";
    let synced = Synced::read(trace).0;
    assert_eq!(synced[Path::new("/s/1.log")], Extent { written: 130, synced: 100 });
    assert_eq!(synced[Path::new("/s/2")], Extent { written: 7, synced: 7 });
    assert_eq!(synced.len(), 2);
}
