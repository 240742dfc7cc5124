//! The demo as a newcomer runs it: real servers, and the CRM equal to the shop at its end.

use std::process::Command;

#[test]
fn the_demo_ends_by_itself_with_the_crm_equal_to_the_shop() {
    let done = Command::new(env!("CARGO_BIN_EXE_passerelle")).args(["demo", "--seconds", "10"]).output().unwrap();
    let (told, complaints) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{told}\n{complaints}");
    for part in ["http://127.0.0.1:", "the CRM goes down", "passerelle is killed", "none lost", "equal          yes: "]
    {
        assert!(told.contains(part), "the demo does not tell {part:?}:\n{told}");
    }
    assert_eq!(leftovers(&told), Vec::<&str>::new(), "left behind");
}

/// The folders that the demo named and that are still there.
fn leftovers(told: &str) -> Vec<&str> {
    let words = told.split_whitespace().filter(|word| word.ends_with("/passerelle.toml"));
    words.filter(|word| std::path::Path::new(word).exists()).collect()
}
