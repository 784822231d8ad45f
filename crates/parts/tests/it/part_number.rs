//! Part numbers: 1 to 10,000 and nothing else, from any source.

use haul_parts::{PartNumber, PartNumberError};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_number_is_in_range_or_refused(number in prop_oneof![0..=20_000_u32, any::<u32>()]) {
        match PartNumber::new(number) {
            Ok(part) => {
                prop_assert!((1..=10_000).contains(&number));
                prop_assert_eq!(u32::from(part), number);
                prop_assert_eq!(PartNumber::from_index(part.index()), Ok(part));
                prop_assert_eq!(part.to_string().parse::<PartNumber>(), Ok(part));
                prop_assert_eq!(PartNumber::try_from(i32::from(part)), Ok(part));
                let json = serde_json::to_string(&part).unwrap();
                prop_assert_eq!(serde_json::from_str::<PartNumber>(&json).unwrap(), part);
            }
            Err(_) => prop_assert!(!(1..=10_000).contains(&number)),
        }
    }

    #[test]
    fn order_is_that_of_the_numbers(a in 1..=10_000_u32, b in 1..=10_000_u32) {
        prop_assert_eq!(PartNumber::new(a).unwrap().cmp(&PartNumber::new(b).unwrap()), a.cmp(&b));
    }

    #[test]
    fn any_text_is_a_number_in_range_or_an_error(text in "\\PC*|[-+ ]?[0-9]{0,25}") {
        if let Ok(part) = text.parse::<PartNumber>() {
            prop_assert!(text.bytes().all(|b| b.is_ascii_digit()));
            prop_assert_eq!(text.trim_start_matches('0'), part.to_string());
        }
    }
}

#[test]
fn the_ends() {
    assert_eq!((PartNumber::MIN.get(), PartNumber::MAX.get()), (1, 10_000));
    assert_eq!(PartNumber::MIN.next().map(PartNumber::get), Some(2));
    assert_eq!(PartNumber::MAX.next(), None);
    assert_eq!(PartNumber::from_index(9_999), Ok(PartNumber::MAX));
    assert!(PartNumber::from_index(10_000).is_err());
    assert!(serde_json::from_str::<PartNumber>("0").is_err());
}

#[test]
fn refusals_say_the_range() {
    let parse = |text: &str| text.parse::<PartNumber>().unwrap_err().to_string();
    insta::assert_snapshot!(parse("0"), @"part number 0 is out of range: it must be an integer \
        between 1 and 10000, inclusive");
    insta::assert_snapshot!(parse("99999999999999999999"), @"part number 99999999999999999999 is \
        out of range: it must be an integer between 1 and 10000, inclusive");
    insta::assert_snapshot!(parse("+1"), @"part number \"+1\" is not a number: it must be an \
        integer between 1 and 10000, inclusive");
    insta::assert_snapshot!(parse(""), @"part number \"\" is not a number: it must be an integer \
        between 1 and 10000, inclusive");
    insta::assert_snapshot!(PartNumber::try_from(-1_i32).unwrap_err(), @"part number -1 is out of \
        range: it must be an integer between 1 and 10000, inclusive");
    insta::assert_snapshot!(PartNumber::from_index(usize::MAX).unwrap_err(), @"part number \
        18446744073709551616 is out of range: it must be an integer between 1 and 10000, \
        inclusive");
    assert_eq!(
        PartNumber::new(10_001),
        Err(PartNumberError::OutOfRange { given: "10001".to_owned() })
    );
}
