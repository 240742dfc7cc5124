//! `passerelle check --online`: what the CRM says of the mappings, and what others have to do for them.

use passerelle::sandbox::{SandboxOptions, Schema};

use crate::table::{ACCOUNT, accounts_with};
use crate::world::World;

/// A CRM as it is, with a picklist that takes no other values, and fields of every type.
fn crm() -> SandboxOptions {
    let mut schema = Schema::standard();
    let declared = r#"{
        "Lead": {"fields": {"Company": {"type": "string"}}},
        "Account": {"fields": {
            "Rating": {"type": "picklist", "values": ["Hot", "Warm", "Cold"]},
            "Code__c": {"type": "string", "length": 20},
            "Vip__c": {"type": "boolean"},
            "Since__c": {"type": "date"},
            "Owner_Contact__c": {"type": "reference", "to": "Contact", "relationship": "Owner_Contact__r"}
        }}
    }"#;
    schema.declare(declared).unwrap();
    SandboxOptions { schema: Some(schema), ..SandboxOptions::default() }
}

async fn world(mappings: &str) -> World {
    World::with(ACCOUNT, mappings, crm()).await
}

/// Runs `check` with these arguments: its status, and what it printed.
fn check(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let (status, text) = world.daemon.borrow().cli(&[&["check"], arguments].concat());
    (status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_that_fit_both_ends_are_good_and_leave_nothing_to_do() {
    let world =
        world(&accounts_with("", "Name = { value = \"name | truncate(80)\", required = true }\nVip__c = \"active\""))
            .await;
    let (sql, fields) = (world.state_dir().with_file_name("dba.sql"), world.state_dir().with_file_name("fields.md"));
    let (sql, fields) = (sql.to_str().unwrap(), fields.to_str().unwrap());
    let (status, text) = check(&world, &["--online", "--sql-for-dba", sql, "--crm-fields", fields]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("crm sales: answers\n") && text.contains("is good: 1 source, 1 CRM, 2 mappings\n"), "{text}");
    let page = std::fs::read_to_string(fields).unwrap();
    assert!(page.contains("## sales") && page.contains("Nothing to do"), "{page}");
    let script = std::fs::read_to_string(sql).unwrap();
    assert!(script.contains("-- ---- source erp:"), "{script}");
    let statements: Vec<&str> = script.lines().filter(|line| !line.starts_with("--") && !line.is_empty()).collect();
    assert!(statements.is_empty(), "advice is no statement: {script}");
    assert!(!check(&world, &[]).1.contains("crm sales"), "without --online nobody is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_cannot_work_is_shown_at_once_with_its_place() {
    let fields = r#"BillingCty = "city"
Vip__c = "name"
Since__c = "name"
Site = "id"
Fax = { const = "a text that is much longer than the forty characters of a fax" }
Rating = { value = "city", map = { a = "Hott", b = "Cold" } }
Code__c = "name | truncate(30)"
Owner_Contact__r = { reference = "accounts", value = "parent" }
Region__r = { reference = "accounts", value = "parent" }"#;
    let mappings = accounts_with("", fields)
        .replace("\"Erp_Id__c\"", "\"Code__c\"")
        .replace("Code__c = \"name", "AccountNumber = \"name | truncate(50)\"\nWebsite = \"name")
        + "[mapping.others]\nsource = \"erp\"\ntable = \"public.account\"\ncrm = \"sales\"\nobject = \"Acount\"\n\
           key = { field = \"Erp_Id__c\", value = \"code\" }\n[mapping.others.fields]\nName = \"name\"\n";
    let world = world(&mappings).await;
    let (status, text) = check(&world, &["--online"]);
    assert_eq!(status, Some(78), "{text}");
    for fault in [
        "error: `Code__c` is no External ID: upserts cannot go by it",
        "error: `Code__c` is not unique: two records could have the key of one row",
        "error: `Account` has no field `BillingCty`, or the integration user may not see it",
        "did you mean `BillingCity`?",
        "error: `Vip__c` is a checkbox; this gives text",
        "read it: `name | bool`",
        "error: `Since__c` is a date; this gives text",
        "error: `Site` is text; this gives an integer",
        "error: `Fax` takes 40 characters; this constant has 61",
        "error: `Rating` has no value 'Hott', and takes no others than its own",
        "did you mean 'Hot'?",
        "warning: `AccountNumber` takes 40 characters; this gives up to 50",
        "error: `Owner_Contact__r` refers to `Contact`; [mapping.accounts] makes `Account`",
        "error: `Account` has no relationship `Region__r`",
        "error: no field fills `Name`, which Account needs to be created",
        "error: the CRM has no object `Acount`, or the integration user may not see it",
        "did you mean `Account`?",
    ] {
        assert!(text.contains(fault), "{fault}\n{text}");
    }
    // With the line and a caret under the name itself.
    let lines: Vec<&str> = text.lines().collect();
    let under = |fault: &str, source: &str, marked: &str| {
        let at = lines.iter().position(|line| line.contains(fault)).unwrap();
        let found = lines[at..].iter().take(6).position(|line| line.contains(source)).map(|found| at + found);
        let found = found.unwrap_or_else(|| panic!("{source}\n{text}"));
        let column = lines[found].find(marked).unwrap();
        assert_eq!(lines[found + 1].find('^'), Some(column), "{fault}\n{text}");
    };
    under("has no field `BillingCty`", "BillingCty = \"city\"", "BillingCty");
    under("has no object `Acount`", "object = \"Acount\"", "Acount");
    under("is no External ID", "field = \"Code__c\"", "Code__c");
    under("`Vip__c` is a checkbox", "Vip__c = \"name\"", "name");

    let (status, text) = check(&world, &["--online", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["good"], &document["crms"][0]["name"]), (Some(78), &false.into(), &"sales".into()));
    let messages = document["configuration"].as_array().unwrap().iter().map(|fault| fault["message"].as_str().unwrap());
    assert!(messages.into_iter().any(|message| message.starts_with("`Vip__c` is a checkbox")), "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sandbox_has_learned_fits_whatever_was_written() {
    let fields =
        "Name = \"name | truncate(80)\"\nSum__c = \"id\"\nIs_Vip__c = \"active\"\nOn__c = { const = \"2026-01-31\" }";
    let world = world(&accounts_with("", fields)).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.start().await;
    world.settled().await;
    let (status, text) = check(&world, &["--online"]);
    assert_eq!(status, Some(0), "{text}");
    for field in ["Sum__c", "Is_Vip__c", "On__c"] {
        assert!(!text.contains(field), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crms_administrator_gets_a_list() {
    let fields = "Name = \"name\"\nShort_Code__c = \"code | truncate(12)\"\nActive__c = \"active\"\n\
                  Grade__c = { value = \"city\", map = { a = \"Gold\", b = \"Silver\" } }\n\
                  Shop__r = { reference = \"accounts\", value = \"parent\" }\nNotes__c = \"note\"\nRating = { const = \"Icy\" }";
    let world = world(&accounts_with("", fields).replace("\"Erp_Id__c\"", "\"Shop_Id__c\"")).await;
    let page = world.state_dir().with_file_name("fields.md");
    let (status, text) = check(&world, &["--crm-fields", page.to_str().unwrap()]);
    assert_eq!(status, Some(78), "{text}");
    assert!(text.contains("written: "), "{text}");
    let text = std::fs::read_to_string(&page).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| c")).collect();
    assert_eq!(
        rows,
        [
            "| create field | Account | Shop Id | Shop_Id__c | Text | 255 | yes | yes | the key: every record is found by it | accounts (sales) |",
            "| create field | Account | Short Code | Short_Code__c | Text | 12 |  |  |  | accounts (sales) |",
            "| create field | Account | Active | Active__c | Checkbox |  |  |  |  | accounts (sales) |",
            "| create field | Account | Grade | Grade__c | Picklist |  |  |  | values: Gold; Silver | accounts (sales) |",
            "| create field | Account | Shop | Shop__c | Lookup(Account) |  |  |  | delete behaviour: clear the value | accounts (sales) |",
            "| create field | Account | Notes | Notes__c | Text | 255 |  |  | longer values are refused: truncate them in the mapping, or make it Text Area (Long) | accounts (sales) |",
            "| change field | Account | Rating | Rating | Picklist |  |  |  | add the values: Icy (or correct the mapping) | accounts (sales) |",
        ]
    );
    let table = world.state_dir().with_file_name("fields.csv");
    let _ = check(&world, &["--crm-fields", table.to_str().unwrap()]);
    let text = std::fs::read_to_string(&table).unwrap();
    assert!(
        text.starts_with("To do,Object,Field label,API name,")
            && text.contains("create field,Account,Shop Id,Shop_Id__c,Text,255,yes,yes,"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dba_gets_a_script_that_mends_it_and_can_be_run_twice() {
    let mappings = accounts_with("", "Name = \"name\"");
    let world = world(&mappings).await;
    world.sql("create role erp login; create table other (id int); alter table account replica identity nothing");
    let config = world.daemon.borrow().config.clone();
    let as_erp = world.configuration().replace("user = \"postgres\"", "user = \"erp\"");
    std::fs::write(&config, as_erp).unwrap();
    let file = world.state_dir().with_file_name("dba.sql");
    let (status, text) = check(&world, &["--sql-for-dba", file.to_str().unwrap()]);
    assert_eq!(status, Some(78), "{text}");
    // What the tables are published with is known once they can be followed.
    for round in 0..3 {
        let script = std::fs::read_to_string(&file).unwrap();
        if round == 0 {
            for part in [
                "-- erp lacks REPLICATION",
                "ALTER ROLE \"erp\" REPLICATION;",
                "GRANT SELECT (",
                "REPLICA IDENTITY DEFAULT;",
            ] {
                assert!(script.contains(part), "{part}\n{script}");
            }
        }
        world.sql(&script);
        world.sql(&script);
        let _ = check(&world, &["--sql-for-dba", file.to_str().unwrap()]);
    }
    let (status, text) = check(&world, &["--online"]);
    assert_eq!(status, Some(0), "{text}\n{}", std::fs::read_to_string(&file).unwrap());
    assert!(world.sql("select pubname from pg_publication").contains("passerelle_erp"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_that_does_not_answer_is_a_fault_of_its_own() {
    let world = world(&accounts_with("", "Name = \"name\"")).await;
    let config = world.daemon.borrow().config.clone();
    let elsewhere = world.configuration().replace(world.crm().url(), "http://127.0.0.1:9");
    std::fs::write(&config, elsewhere).unwrap();
    let file = world.state_dir().with_file_name("fields.md");
    let (status, text) = check(&world, &["--crm-fields", file.to_str().unwrap()]);
    assert_eq!(status, Some(78), "{text}");
    assert!(text.contains("crm sales:\n\n  fault: http://127.0.0.1:9 could not be asked"), "{text}");
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.contains("It could not be asked"), "{page}");
    std::fs::write(&config, "nonsense = 1\n").unwrap();
    let (status, text) = check(&world, &["--crm-fields", file.to_str().unwrap()]);
    assert_eq!(status, Some(78));
    assert!(text.contains("was not written"), "{text}");
}
