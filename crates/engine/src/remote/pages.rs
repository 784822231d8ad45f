//! Detects endless listings: repeated continuation tokens, repeated pages, pages without entries.
//!
//! A store may choose any tokens, so only a repetition shows that they form a cycle. Brent's method
//! finds it with two stored texts, whatever the number of pages: each page is compared with one
//! earlier page, which is replaced at every power of two.

use super::{Operation, StoreError, StoreErrorKind};

/// The maximum number of consecutive pages without entries. AWS has such pages where many versions
/// were deleted.
const EMPTY_PAGES_MAX: u32 = 1000;

/// Monitors the pages of one listing.
#[derive(Debug)]
pub struct PageGuard {
    operation: Operation,
    tokens: Circle,
    firsts: Circle,
    empty_pages: u32,
}

impl PageGuard {
    /// Creates the guard of a listing by this operation.
    pub fn new(operation: Operation) -> Self {
        Self { operation, tokens: Circle::default(), firsts: Circle::default(), empty_pages: 0 }
    }

    /// Records a page that is not the last one: the name of its first entry, and the token for the
    /// next page.
    ///
    /// # Errors
    /// [`StoreErrorKind::Malformed`]: the listing does not advance.
    pub fn advance(&mut self, first: Option<&str>, next: &str) -> Result<(), StoreError> {
        let stuck = |message: &str| {
            Err(StoreError::local(self.operation, StoreErrorKind::Malformed, message))
        };
        if self.tokens.repeats(next) {
            return stuck("the list does not end: it is continued where it was continued before");
        }
        match first {
            Some(first) if self.firsts.repeats(first) => {
                stuck("the list does not end: the same page came before")
            }
            None if self.empty_pages == EMPTY_PAGES_MAX => {
                stuck("the list does not end: its pages have no entries")
            }
            Some(_) => {
                self.empty_pages = 0;
                Ok(())
            }
            None => {
                self.empty_pages += 1;
                Ok(())
            }
        }
    }
}

/// Brent's search for a cycle in a sequence of texts.
#[derive(Debug, Default)]
struct Circle {
    kept: Option<String>,
    /// The number of texts since `kept` was replaced, and the number until it is replaced again.
    since: u64,
    until: u64,
}

impl Circle {
    fn repeats(&mut self, text: &str) -> bool {
        if self.kept.as_deref() == Some(text) {
            return true;
        }
        self.since += 1;
        if self.since >= self.until {
            self.kept = Some(text.to_owned());
            self.since = 0;
            self.until = (self.until * 2).max(1);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of pages after which the guard detects that the token repeats every
    /// `length` pages.
    fn noticed_after(before: u64, length: u64) -> u64 {
        let mut guard = PageGuard::new(Operation::ListObjectsV2);
        let step = |page: u64| if page < before { page } else { before + (page - before) % length };
        let noticed = (0..).find(|page| {
            let first = format!("key {page}");
            guard.advance(Some(&first), &format!("token {}", step(*page))).is_err()
        });
        noticed.unwrap()
    }

    #[test]
    fn a_circle_of_tokens_is_noticed_whatever_its_length() {
        assert_eq!(noticed_after(0, 1), 1);
        for (before, length) in [(0, 2), (1, 1), (3, 7), (100, 64), (1000, 1)] {
            let pages = noticed_after(before, length);
            assert!(
                pages <= 3 * (before + length) + 3,
                "{before} and {length}: after {pages} pages"
            );
        }
    }

    #[test]
    fn the_same_page_under_ever_new_tokens_is_noticed() {
        let mut guard = PageGuard::new(Operation::ListObjectsV2);
        let noticed =
            (0..10).find(|page| guard.advance(Some("a"), &format!("token {page}")).is_err());
        assert_eq!(noticed, Some(1));
    }

    #[test]
    fn pages_without_entries_are_allowed_but_not_without_end() {
        let mut guard = PageGuard::new(Operation::ListObjectsV2);
        let mut pages = 0_u32;
        let mut empty = || {
            pages += 1;
            guard.advance(None, &pages.to_string()).is_ok()
        };
        assert!((0..EMPTY_PAGES_MAX).all(|_| empty()));
        assert!(!empty());
    }

    #[test]
    fn a_long_listing_is_not_held_up() {
        let mut guard = PageGuard::new(Operation::ListObjectsV2);
        let advances =
            |page: u32| guard.advance(Some(&format!("{page:07}")), &format!("{page:x}")).is_ok();
        assert!((0..100_000).all(advances));
    }
}
