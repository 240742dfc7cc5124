//! STATE.md, "What the CRM gets": a test for each row of the table.

mod configured;
mod keys;
mod members;
mod people;
mod rows;
mod values;

/// Accounts of a shop. `note` is stored apart from the row as soon as it is long, so that the log leaves it out where it
/// did not change.
pub(crate) const ACCOUNT: &str = "
    create table account (
        id int primary key, code text, name text, city text, note text, active boolean default true, parent int, spare text
    );
    alter table account alter note set storage external;";

/// A mapping of them with these policies (lines of TOML) and the fields that every test uses.
pub(crate) fn accounts(policies: &str) -> String {
    accounts_with(policies, "Name = \"name\"\nBillingCity = \"city\"\nDescription = \"note\"")
}

/// A mapping of them with these fields.
pub(crate) fn accounts_with(policies: &str, fields: &str) -> String {
    mapping("accounts", "account", "Account", policies, fields)
}

/// A mapping whose key is the column `code`.
pub(crate) fn mapping(name: &str, table: &str, object: &str, policies: &str, fields: &str) -> String {
    format!(
        "[mapping.{name}]\nsource = \"erp\"\ntable = \"public.{table}\"\ncrm = \"sales\"\nobject = \"{object}\"\n\
         key = {{ field = \"Erp_Id__c\", value = \"code\" }}\n{policies}\n[mapping.{name}.fields]\n{fields}\n"
    )
}
