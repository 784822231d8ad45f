//! Patterns of names as `aws s3` reads them: `*` is any text, `?` any character, `[abc]` and
//! `[a-z]` one of several, `[!abc]` any other.
//!
//! These are the rules of Python's `fnmatch`, which the AWS CLI uses, so `*` crosses `/` and
//! nothing escapes a special character but brackets around it: `[*]`. Letters match by case. A `[`
//! without its `]` means itself. Matching takes at most the length of the pattern times that of
//! the name, whatever the pattern.

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    /// `*`: any text, none included.
    Star,
    OneOf {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let chars: Vec<char> = pattern.chars().collect();
        let mut tokens = Vec::with_capacity(chars.len());
        let mut at = 0;
        while at < chars.len() {
            let (token, next) = match chars[at] {
                '*' => (Token::Star, at + 1),
                '?' => (Token::Any, at + 1),
                '[' => bracket(&chars, at).unwrap_or((Token::Char('['), at + 1)),
                other => (Token::Char(other), at + 1),
            };
            // Two stars in a row are one.
            if token != Token::Star || tokens.last() != Some(&Token::Star) {
                tokens.push(token);
            }
            at = next;
        }
        Self(tokens)
    }

    /// Whether the pattern has a character that is not itself.
    pub fn is_pattern(text: &str) -> bool {
        Self::new(text).0.iter().any(|token| !matches!(token, Token::Char(_)))
    }

    /// The text that every match begins with: up to the first special character.
    pub fn literal_prefix(&self) -> String {
        let literal = |token: &Token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        };
        self.0.iter().map_while(literal).collect()
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let (mut token, mut rest) = (0, name.chars());
        // Where to resume when what follows the last star does not fit: one character later.
        let mut star: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let before = rest.clone();
            match (self.0.get(token), rest.next()) {
                (Some(Token::Star), _) => {
                    token += 1;
                    rest = before;
                    star = Some((token, rest.clone()));
                }
                (Some(one), Some(c)) if one.takes(c) => token += 1,
                (None, None) => return true,
                _ => {
                    let Some((behind, mut from)) = star.take() else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    (token, rest) = (behind, from.clone());
                    star = Some((behind, from));
                }
            }
        }
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any => true,
            Self::Star => false,
            Self::OneOf { ranges, negated } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// The set that begins at `[`, and where the pattern continues behind it.
fn bracket(chars: &[char], open: usize) -> Option<(Token, usize)> {
    let negated = chars.get(open + 1) == Some(&'!');
    let first = open + 1 + usize::from(negated);
    // A `]` at the beginning belongs to the set.
    let close = (first + 1..chars.len()).find(|at| chars[*at] == ']')?;
    let mut ranges = Vec::new();
    let mut at = first;
    while at < close {
        if at + 2 < close && chars[at + 1] == '-' {
            ranges.push((chars[at], chars[at + 2]));
            at += 3;
        } else {
            ranges.push((chars[at], chars[at]));
            at += 1;
        }
    }
    Some((Token::OneOf { ranges, negated }, close + 1))
}

/// Rules by which names are taken or left out, in the order of the command line: the last one that
/// matches decides. Without rules, and where none matches, a name is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameFilter {
    rules: Vec<(FilterRule, Glob)>,
}

/// What a rule does with the names that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterRule {
    /// They are taken.
    Include,
    /// They are left out.
    Exclude,
}

impl NameFilter {
    /// A filter of these patterns.
    pub fn new<'a>(rules: impl IntoIterator<Item = (FilterRule, &'a str)>) -> Self {
        let rules = rules.into_iter().map(|(rule, pattern)| (rule, Glob::new(pattern))).collect();
        Self { rules }
    }

    /// Adds a rule behind the others.
    pub fn push(&mut self, rule: FilterRule, pattern: &str) {
        self.rules.push((rule, Glob::new(pattern)));
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a name is taken. It is relative to the folder or prefix that the command names, with
    /// `/` between folders and none in front.
    pub fn admits(&self, name: &str) -> bool {
        let last = self.rules.iter().rev().find(|(_, glob)| glob.matches(name));
        last.is_none_or(|(rule, _)| *rule == FilterRule::Include)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::new(pattern).matches(name)
    }

    /// Each line was asked of `fnmatch.fnmatchcase` of Python 3.11.
    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, name, wanted) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b/c", true),
            ("*.gz", "logs/a.gz", true),
            ("*.gz", "a.gz.tmp", false),
            ("a*b*c", "a/x/b/y/c", true),
            ("a*b*c", "a/x/c", false),
            ("**", "x", true),
            ("?", "ü", true),
            ("?", "", false),
            ("?", "ab", false),
            ("a?c", "a/c", true),
            ("[abc]", "b", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[!a-c]x", "ax", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[!]]", "a", true),
            ("[a-]", "-", true),
            ("[-a]", "-", true),
            ("[", "[", true),
            ("a[b", "a[b", true),
            ("[*]", "*", true),
            ("[*]", "x", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
            ("A", "a", false),
            ("a\\*", "a\\b", true),
            ("*a", "aaab", false),
            ("*ab", "aaab", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern:?} and {name:?}");
        }
    }

    /// A naive matcher takes hours for this.
    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = "a*".repeat(50) + "b";
        assert!(!matches(&pattern, &"a".repeat(1000)));
    }

    #[test]
    fn the_literal_prefix_ends_at_the_first_special_character() {
        let prefix = |pattern| Glob::new(pattern).literal_prefix();
        assert_eq!(prefix("logs/2026-*/x"), "logs/2026-");
        assert_eq!(prefix("logs/a[12"), "logs/a[12");
        assert_eq!(prefix("logs/a[12]"), "logs/a");
        assert_eq!(prefix("?"), "");
        assert!(Glob::is_pattern("a?") && !Glob::is_pattern("a[b"));
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        use FilterRule::{Exclude, Include};
        let only_text = NameFilter::new([(Exclude, "*"), (Include, "*.txt")]);
        assert!(only_text.admits("a/b.txt") && !only_text.admits("a/b.jpg"));
        let nothing = NameFilter::new([(Include, "*.txt"), (Exclude, "*")]);
        assert!(!nothing.admits("a.txt"));
        assert!(NameFilter::default().admits("anything"));
        let some = NameFilter::new([(Exclude, "tmp/*")]);
        assert!(some.admits("a/tmp/b") && !some.admits("tmp/b"));
    }
}
