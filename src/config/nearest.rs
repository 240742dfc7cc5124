//! "Did you mean": the name that was probably meant.

/// The candidate nearest to a name that was not found, if one is near enough to be meant.
///
/// Letters swapped, missing, added or wrong count one each; case counts nothing. A third of the name may be wrong.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
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
    }
}
