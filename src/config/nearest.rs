//! "Did you mean": the name that was probably meant.

/// The candidate nearest to a name that was not found, if one is near enough to be meant.
///
/// Letters swapped, missing, added or wrong count one each; case, blanks and `_` count nothing. A third of the name may
/// be wrong. Where none is so near, the one candidate that the name is a part of (`partner` of `partner_id`), or that is
/// a part of it.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    let allowed = (wanted.chars().count() / 3).clamp(1, 4);
    let candidates: Vec<(String, &str)> = candidates.into_iter().map(|name| (plain(name), name)).collect();
    let near = candidates
        .iter()
        .map(|(plain, name)| (strsim::damerau_levenshtein(&wanted, plain), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance);
    near.map(|(_, name)| name).or_else(|| only_part(name, &candidates))
}

/// The only candidate that has the name as its first or last word, or the other way round.
fn only_part<'a>(name: &str, candidates: &[(String, &'a str)]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let is_part = |part: &str, whole: &str| {
        part.len() > 2 && (whole.starts_with(&format!("{part}_")) || whole.ends_with(&format!("_{part}")))
    };
    let fits = |(_, other): &&(String, &'a str)| {
        let other = other.to_lowercase();
        is_part(&lower, &other) || is_part(&other, &lower)
    };
    let mut found = candidates.iter().filter(fits).map(|(_, name)| *name);
    found.next().filter(|_| found.next().is_none())
}

fn plain(name: &str) -> String {
    name.chars().filter(|char| !matches!(char, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// "did you mean `x`?", or else the names there are: "sources: `erp`, `shop`".
pub(super) fn did_you_mean<'a>(
    name: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(found) = nearest(name, candidates.iter().copied()) {
        return Some(format!("did you mean `{found}`?"));
    }
    (!candidates.is_empty()).then(|| format!("{what}: {}", list(candidates)))
}

/// Names as people read them: `` `a`, `b`, `c` ``.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let keys = ["fields", "freshness", "filter", "guard"];
        assert_eq!(nearest("feilds", keys), Some("fields"));
        assert_eq!(nearest("Fields", keys), Some("fields"));
        assert_eq!(nearest("freshnes", keys), Some("freshness"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("x", []), None);
        let columns = ["partner_id", "postal_code", "customer_name", "customer_mail"];
        assert_eq!(nearest("postalCode", columns), Some("postal_code"));
        assert_eq!(nearest("partner", columns), Some("partner_id"));
        assert_eq!(nearest("customer", columns), None, "there are two");
    }
}
