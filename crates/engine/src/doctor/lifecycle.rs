//! The lifecycle rules of the bucket: whether one of them aborts unfinished uploads below the
//! prefix, and when.

use super::request::{Answered, shown};
use super::{Doctor, Group, Measured, Remedy, Verdict};
use crate::bucket_lifecycle::{LifecycleRule, rules_of};
use crate::remote::Support;

/// The name of the check.
pub(super) const NAME: &str = "lifecycle";

/// The meaning of the rules for unfinished uploads below a prefix.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// All of them are aborted.
    Aborted { days: u32, rule: String },
    /// Only those below another prefix are.
    Partly { days: u32, rule: String, prefix: String },
    /// A rule would abort them, and is disabled.
    Disabled { days: u32, rule: String },
    /// None is aborted.
    Kept,
}

impl Doctor<'_> {
    /// Records what the answer to GetBucketLifecycleConfiguration means for unfinished uploads.
    pub(super) fn note_lifecycle(&mut self, answered: &Answered) {
        let group = Group::Multipart;
        let answer = match answered {
            Ok(answer) => answer,
            Err(no_answer) => {
                return self.note(group, NAME, Verdict::NotTested, no_answer.reason());
            }
        };
        let rules = match (answer.status, answer.code().as_deref()) {
            (_, Some("NoSuchLifecycleConfiguration")) => Ok(vec![]),
            _ if answer.is_success() => rules_of(&String::from_utf8_lossy(&answer.body)),
            (400 | 405 | 501, _) => {
                self.findings.lifecycle_abort = Support::No;
                let detail = format!(
                    "the store has no lifecycle rules ({}): unfinished uploads stay until they \
                     are aborted",
                    shown(answer)
                );
                self.note(group, NAME, Verdict::No, detail);
                return self.remedy(Remedy::Sweep);
            }
            _ => {
                let detail =
                    format!("unknown whether a rule aborts unfinished uploads ({})", shown(answer));
                return self.note(group, NAME, Verdict::NotTested, detail);
            }
        };
        let rules = match rules {
            Ok(rules) => rules,
            Err(error) => {
                let detail = format!("the rules cannot be read: {error}");
                return self.note(group, NAME, Verdict::NotTested, detail);
            }
        };
        if rules.iter().any(|rule| rule.abort_days.is_some()) {
            self.findings.lifecycle_abort = Support::Yes;
        }
        self.note_meaning(meaning(&rules, &self.report.prefix), rules.len());
    }

    fn note_meaning(&mut self, meaning: Meaning, rules: usize) {
        let (days, detail) = match meaning {
            Meaning::Aborted { days, rule } => {
                let detail = format!(
                    "an unfinished upload here is aborted {} after it began ({rule})",
                    in_words(days)
                );
                let measured = Measured { value: f64::from(days), unit: "days" };
                return self.measured(Group::Multipart, NAME, measured, detail);
            }
            Meaning::Partly { days, rule, prefix } => {
                let detail = format!(
                    "only unfinished uploads below {prefix} are aborted, after {} ({rule})",
                    in_words(days)
                );
                (Some(days), detail)
            }
            Meaning::Disabled { days, rule } => {
                let detail = format!(
                    "unfinished uploads are not aborted: {rule}, which would do so after {}, is \
                     disabled",
                    in_words(days)
                );
                (Some(days), detail)
            }
            Meaning::Kept => {
                let of = match rules {
                    0 => "the bucket has no rules".to_owned(),
                    1 => "its only rule does not abort them".to_owned(),
                    many => format!("none of its {many} rules aborts them"),
                };
                (None, format!("unfinished uploads here stay until they are aborted: {of}"))
            }
        };
        self.note(Group::Multipart, NAME, Verdict::Warning, detail);
        if let (Some(days), Some(check)) = (days, self.report.checks.last_mut()) {
            check.measured = Some(Measured { value: f64::from(days), unit: "days" });
        }
        self.remedy(Remedy::AddAbortRule);
    }
}

/// Returns the meaning of the rules for the keys below `prefix`. Of several rules, the one with the
/// fewest days takes effect.
fn meaning(rules: &[LifecycleRule], prefix: &str) -> Meaning {
    let mut aborting: Vec<_> =
        rules.iter().filter_map(|rule| Some((rule.abort_days?, rule))).collect();
    aborting.sort_by_key(|(days, _)| *days);
    let covers = |rule: &LifecycleRule| prefix.starts_with(&rule.prefix);
    let named = |rule: &LifecycleRule| match rule.id.as_str() {
        "" => "a rule without an id".to_owned(),
        id => format!("rule {id}"),
    };
    let enabled = || aborting.iter().filter(|(_, rule)| rule.enabled);
    if let Some((days, rule)) = enabled().find(|(_, rule)| covers(rule)) {
        return Meaning::Aborted { days: *days, rule: named(rule) };
    }
    if let Some((days, rule)) = enabled().find(|(_, rule)| rule.prefix.starts_with(prefix)) {
        let (rule, prefix) = (named(rule), rule.prefix.clone());
        return Meaning::Partly { days: *days, rule, prefix };
    }
    match aborting.iter().find(|(_, rule)| covers(rule)) {
        Some((days, rule)) => Meaning::Disabled { days: *days, rule: named(rule) },
        None => Meaning::Kept,
    }
}

fn in_words(days: u32) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, prefix: &str, enabled: bool, days: Option<u32>) -> LifecycleRule {
        let (id, prefix) = (id.to_owned(), prefix.to_owned());
        let (scope, actions) = (String::new(), vec![]);
        LifecycleRule { id, enabled, scope, prefix, actions, abort_days: days }
    }

    #[test]
    fn the_rule_with_the_fewest_days_takes_effect() {
        let rules = [rule("a", "", true, Some(7)), rule("b", "photos/", true, Some(3))];
        let aborted = |days, rule: &str| Meaning::Aborted { days, rule: rule.to_owned() };
        assert_eq!(meaning(&rules, "photos/2026"), aborted(3, "rule b"));
        assert_eq!(meaning(&rules, ""), aborted(7, "rule a"));
        assert_eq!(meaning(&rules, "phot"), aborted(7, "rule a"));
    }

    #[test]
    fn a_rule_of_another_prefix_or_without_effect_does_not_count() {
        let expires = rule("expire", "", true, None);
        let off = rule("off", "", false, Some(2));
        let other = rule("other", "videos/", true, Some(2));
        let below = rule("", "photos/raw/", true, Some(5));
        assert_eq!(meaning(&[expires.clone(), other.clone()], "photos/"), Meaning::Kept);
        let disabled = Meaning::Disabled { days: 2, rule: "rule off".to_owned() };
        assert_eq!(meaning(&[expires, off, other.clone()], "photos/"), disabled);
        let rule = "a rule without an id".to_owned();
        let partly = Meaning::Partly { days: 5, rule, prefix: "photos/raw/".to_owned() };
        assert_eq!(meaning(&[below, other], "photos/"), partly);
    }
}
