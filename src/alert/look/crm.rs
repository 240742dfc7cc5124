//! What is wrong with a CRM.

use std::time::Duration;

use super::{Condition, Documents, Seen};
use crate::alert::model::About;
use crate::cli::humane::{count, span};
use crate::config::model::{AlertKind, Severity};
use crate::control::model::{CrmState, CrmStatus};

pub(super) fn look(seen: &mut Seen, documents: &Documents<'_>, name: &str) {
    let about = About::Crm(name.to_owned());
    let status = documents.status.crms.iter().find(|crm| crm.name == name);
    let Some(crm) = status.filter(|crm| crm.state != CrmState::Starting) else {
        seen.unknown(&about, &[AlertKind::CrmDown, AlertKind::Quota]);
        return;
    };
    match crm.state {
        CrmState::Retrying | CrmState::Stopped => down(seen, documents, crm, &about),
        CrmState::Starting | CrmState::Ready | CrmState::Throttled | CrmState::Exhausted | CrmState::Paused => {}
    }
    quota(seen, documents, crm, &about);
}

fn down(seen: &mut Seen, documents: &Documents<'_>, crm: &CrmStatus, about: &About) {
    let reason = crm.last_error.as_ref().map_or_else(String::new, |error| format!(": {}", error.text));
    let text = format!("takes no records{reason}");
    let condition = Condition::new(AlertKind::CrmDown, about.clone(), Severity::Critical, text);
    let grace = documents.setting.limits.crm_down;
    seen.conditions.push(Condition { grace, ..condition.next("passerelle check --online") });
}

fn quota(seen: &mut Seen, documents: &Documents<'_>, crm: &CrmStatus, about: &About) {
    let day = crm.windows.iter().find(|window| window.name == "per_day");
    let figures = day.and_then(|day| Some((day.used?, day.limit)));
    let of = figures.map_or_else(String::new, |(used, limit)| format!(": {} of {}", count(used), count(limit)));
    let is_used_up = crm.state == CrmState::Exhausted || crm.exhausted_at.is_some_and(|at| at <= documents.now);
    let (severity, text, grace) = match crm.exhausted_at {
        _ if is_used_up => {
            let text = format!("the day's calls are used up, and records wait{of}");
            (Severity::Critical, text, Duration::ZERO)
        }
        Some(at) => {
            let left = at.duration_since(documents.now).as_secs_f64();
            let text = format!("at this pace the day's calls are used up in about {}{of}", span(left));
            (Severity::Warning, text, documents.setting.limits.quota)
        }
        None => return,
    };
    let condition = Condition::new(AlertKind::Quota, about.clone(), severity, text);
    seen.conditions.push(Condition { grace, ..condition.next("passerelle status") });
}
