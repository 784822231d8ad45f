//! The arguments `--include` and `--exclude`, which apply in their order on the command line.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use haul::parts::{FilterRule, NameFilter};

/// The rules, in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterArgs {
    pub(crate) rules: Vec<(FilterRule, String)>,
}

/// The declaration for clap.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
struct Declared {
    /// Include names that match, such as '*.jpg'; of several rules the last match decides
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Exclude names that match; * matches any text, including /; names begin after the prefix
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

impl FilterArgs {
    /// Returns the filter of these rules.
    pub(crate) fn filter(&self) -> NameFilter {
        NameFilter::new(self.rules.iter().map(|(rule, pattern)| (*rule, pattern.as_str())))
    }

    /// Returns the flag of the first rule, if there is one.
    pub(crate) fn first_flag(&self) -> Option<&'static str> {
        self.rules.first().map(|(rule, _)| match rule {
            FilterRule::Include => "--include",
            FilterRule::Exclude => "--exclude",
        })
    }
}

impl Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        Declared::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Declared::augment_args_for_update(command)
    }
}

impl FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut rules = Vec::new();
        for (id, rule) in [("include", FilterRule::Include), ("exclude", FilterRule::Exclude)] {
            let places = matches.indices_of(id).into_iter().flatten();
            let patterns = matches.get_many::<String>(id).into_iter().flatten();
            rules.extend(places.zip(patterns).map(|(place, pattern)| (place, rule, pattern)));
        }
        rules.sort_by_key(|(place, ..)| *place);
        let rules = rules.into_iter().map(|(_, rule, pattern)| (rule, pattern.clone()));
        Ok(Self { rules: rules.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
