//! Tests that editing lifecycle rules as text adds and removes a rule and keeps all other bytes.

use proptest::prelude::*;

use super::*;

/// Rules that Haul cannot describe, in the formats of AWS, Ceph RGW and others.
const OTHERS: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8"?>
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Rule>
    <ID>logs &amp; more</ID>
    <Filter><And><Prefix>logs/</Prefix><Tag><Key>team</Key><Value>a</Value></Tag></And></Filter>
    <Status>Enabled</Status>
    <Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>
    <FutureAction><Unknown>7</Unknown></FutureAction>
  </Rule>
  <Rule><ID>old</ID><Filter/><Status>Disabled</Status>"#,
    r#"<Expiration><Days>365</Days></Expiration></Rule>
</LifecycleConfiguration>
"#
);

#[test]
fn rules_of_others_stay_byte_for_byte() {
    let with = with_abort_rule(Some(OTHERS), "tmp/<&>", 7).unwrap();
    let ours = rules(&with).unwrap().pop().unwrap();
    assert_eq!((ours.id.as_str(), ours.abort_days), ("haul-abort-incomplete/tmp/<&>", Some(7)));
    assert_eq!(ours.scope, "keys that begin with tmp/<&>");
    assert!(ours.is_ours() && ours.enabled);
    assert_eq!(without(&with, LifecycleRule::is_ours).unwrap(), OTHERS);
    let changed = with_abort_rule(Some(&with), "tmp/<&>", 3).unwrap();
    assert_eq!(rules(&changed).unwrap().len(), 3, "the same prefix has one rule");
    assert_eq!(rules(&changed).unwrap().pop().unwrap().abort_days, Some(3));
}

#[test]
fn rules_are_told_in_words() {
    let rules = rules(OTHERS).unwrap();
    assert_eq!(rules[0].scope, "keys that begin with logs/ and objects tagged team=a");
    assert_eq!(
        rules[0].actions,
        [
            "moves objects to GLACIER after 30 days",
            "does FutureAction, which Haul does not know and keeps"
        ]
    );
    assert_eq!((rules[1].enabled, rules[1].scope.as_str()), (false, "everything"));
    assert_eq!(rules[1].actions, ["deletes objects after 365 days"]);
}

#[test]
fn a_bucket_without_rules_gets_its_first() {
    let first = with_abort_rule(None, "", 7).unwrap();
    assert_eq!(rules(&first).unwrap()[0].actions, ["aborts unfinished uploads after 7 days"]);
    for empty in [
        "<LifecycleConfiguration/>",
        "<LifecycleConfiguration xmlns=\"x\" />",
        "<LifecycleConfiguration></LifecycleConfiguration>",
    ] {
        let rules = rules(&with_abort_rule(Some(empty), "", 7).unwrap()).unwrap();
        assert_eq!(rules.len(), 1, "{empty}");
    }
}

/// AWS answers 400 to a document in which one rule has a Filter and another a bare Prefix.
#[test]
fn beside_bare_prefixes_ours_has_a_bare_prefix() {
    let old = "<LifecycleConfiguration><Rule><ID>a</ID><Prefix>x</Prefix><Status>Enabled</Status>\
               <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
    let with = with_abort_rule(Some(old), "tmp/", 7).unwrap();
    assert!(!with.contains("<Filter>"), "{with}");
    assert_eq!(rules(&with).unwrap()[1].scope, "keys that begin with tmp/");
}

#[test]
fn what_a_store_dropped_is_named() {
    let wanted = with_abort_rule(Some(OTHERS), "", 7).unwrap();
    let ours = [rule_id("")];
    let reordered = "<LifecycleConfiguration>\
        <Rule><Status>Enabled</Status><ID>haul-abort-incomplete</ID><Prefix/>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>\
        </AbortIncompleteMultipartUpload></Rule>\
        <Rule><ID>old</ID><Status>Disabled</Status><Filter></Filter>\
        <Expiration><Days>365</Days></Expiration></Rule>\
        </LifecycleConfiguration>";
    assert_eq!(missing(&wanted, reordered, &ours).unwrap(), ["logs & more"]);
    assert_eq!(missing(&wanted, OTHERS, &ours).unwrap(), [RULE_ID]);
    assert_eq!(missing(&wanted, &wanted, &ours).unwrap(), Vec::<String>::new());
    assert_eq!(missing(&wanted, "", &ours).unwrap().len(), 3);
}

#[test]
fn what_is_no_configuration_is_refused() {
    for text in [
        "",
        "{}",
        "<html></html>",
        "<LifecycleConfiguration>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><x/>",
    ] {
        assert!(rules(text).is_err(), "{text}");
        assert!(with_abort_rule(Some(text), "", 7).is_err(), "{text}");
    }
}

proptest! {
    /// For any prefix, adding and removing the rule restores the document.
    #[test]
    fn a_rule_goes_in_and_out(
        prefix in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,300}",
        days in 1u32..4000,
    ) {
        let with = with_abort_rule(Some(OTHERS), &prefix, days).unwrap();
        let ours = rules(&with).unwrap().pop().unwrap();
        prop_assert!(ours.is_ours());
        prop_assert_eq!(ours.abort_days, Some(days));
        prop_assert!(ours.id.chars().count() <= ID_CHARS_MAX);
        prop_assert_eq!(without(&with, LifecycleRule::is_ours).unwrap(), OTHERS);
    }
}
