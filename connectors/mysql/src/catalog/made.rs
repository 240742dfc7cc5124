//! What only the statement tells that makes the table, as `SHOW CREATE TABLE` prints it: of foreign keys and checks
//! `information_schema` of MariaDB tells nothing to who may read the table and no more. Pure.

use super::Cascade;

/// Actions that change rows of the table that has the key.
const CHANGES: [&str; 6] = [
    "ON DELETE CASCADE",
    "ON DELETE SET NULL",
    "ON DELETE SET DEFAULT",
    "ON UPDATE CASCADE",
    "ON UPDATE SET NULL",
    "ON UPDATE SET DEFAULT",
];

/// Those that change rows. Each is a line of its own: `` CONSTRAINT `a` FOREIGN KEY (`p`) REFERENCES `t` (`id`) ON … ``.
pub(super) fn cascades(statement: &str) -> Vec<Cascade> {
    statement.lines().filter_map(|line| cascade(line.trim_start().strip_prefix("CONSTRAINT ")?)).collect()
}

/// Columns of MariaDB whose check is `json_valid` of themselves: how it keeps JSON (MY-76). A check stands last in the line
/// of its column, behind the comment.
pub(super) fn json_columns(statement: &str) -> Vec<String> {
    let json = |line: &str| {
        let line = line.trim().trim_end_matches(',');
        let (column, _) = name(line)?;
        line.ends_with(&format!(" CHECK (json_valid({}))", crate::sql::identifier(&column))).then_some(column)
    };
    statement.lines().filter_map(json).collect()
}

fn cascade(text: &str) -> Option<Cascade> {
    let (constraint, rest) = name(text)?;
    let rest = names(rest.strip_prefix(" FOREIGN KEY ")?)?.strip_prefix(" REFERENCES ")?;
    let (mut parent, mut rest) = name(rest)?;
    if let Some(of_database) = rest.strip_prefix('.') {
        let (table, after) = name(of_database)?;
        (parent, rest) = (format!("{parent}.{table}"), after);
    }
    let actions = names(rest.trim_start())?;
    let found: Vec<_> = CHANGES.into_iter().filter(|change| actions.contains(change)).collect();
    (!found.is_empty()).then(|| Cascade { constraint, parent, action: found.join(" ") })
}

/// The name at the front, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('`')?;
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('`')?;
        name.push_str(part);
        match after.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

/// What follows the list of names at the front.
fn names(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('(')?;
    loop {
        let (_, after) = name(rest)?;
        if let Some(end) = after.strip_prefix(')') {
            return Some(end);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn my_31_foreign_keys_that_change_rows() {
        let statement = "CREATE TABLE `c` (\n  `id` int(11) NOT NULL COMMENT 'CONSTRAINT `x` FOREIGN KEY',\n  \
            CONSTRAINT `a``) b` FOREIGN KEY (`p`,`q``)`) REFERENCES `pa``rent` (`id`, `k`) ON DELETE CASCADE ON UPDATE SET NULL,\n  \
            CONSTRAINT `other` FOREIGN KEY (`q`) REFERENCES `db`.`t` (`id`) ON DELETE SET DEFAULT,\n  \
            CONSTRAINT `none` FOREIGN KEY (`r`) REFERENCES `t` (`id`) ON DELETE NO ACTION ON UPDATE RESTRICT,\n  \
            CONSTRAINT `check` CHECK (`p` > 'ON DELETE CASCADE')\n) ENGINE=InnoDB";
        let found = cascades(statement);
        let found: Vec<_> =
            found.iter().map(|c| (c.constraint.as_str(), c.parent.as_str(), c.action.as_str())).collect();
        assert_eq!(
            found,
            [("a`) b", "pa`rent", "ON DELETE CASCADE ON UPDATE SET NULL"), ("other", "db.t", "ON DELETE SET DEFAULT")]
        );
    }

    #[test]
    fn my_76_checks_that_make_json() {
        let statement = "CREATE TABLE `t` (\n  `a` longtext DEFAULT NULL CHECK (json_valid(`a`)),\n  \
            `b``c` longtext NOT NULL COMMENT 'x' CHECK (json_valid(`b``c`)),\n  \
            `d` longtext COMMENT ' CHECK (json_valid(`d`))',\n  `e` longtext CHECK (json_valid(`a`)),\n  \
            `f` longtext CHECK (json_valid(`f`) and `f` <> ''),\n  `g` longtext CHECK (json_valid(`g`))\n)";
        assert_eq!(json_columns(statement), ["a", "b`c", "g"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends_without_panic(text in "(CONSTRAINT |`|``|a| FOREIGN KEY | REFERENCES |[(),.\n]| ON DELETE CASCADE){0,20}") {
            let _ = (cascades(&text), json_columns(&text));
        }
    }
}
