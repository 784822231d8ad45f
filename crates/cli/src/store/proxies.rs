//! Reads proxies from the environment, like curl and the AWS CLI.

use std::env::var;

use haul::s3::{NoProxy, Proxies, Proxy};

use crate::failure::Usage;

/// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; lower-case names take precedence.
pub(super) fn from_environment() -> Result<Proxies, Usage> {
    // In a CGI program, HTTP_PROXY contains the `Proxy` header of a client.
    let is_cgi = var("REQUEST_METHOD").is_ok();
    read(|name| var(name).ok().filter(|_| !(is_cgi && name == "HTTP_PROXY")))
}

fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Proxies, Usage> {
    let proxy = |names: &[&str]| match first(names, &variable) {
        Some((name, value)) if !value.trim().is_empty() => parse(name, &value).map(Some),
        _ => Ok(None),
    };
    let Some((_, bypass)) = first(&["no_proxy", "NO_PROXY"], &variable) else {
        return Ok(Proxies {
            http: proxy(&HTTP)?,
            https: proxy(&HTTPS)?,
            bypass: NoProxy::default(),
        });
    };
    let Ok(bypass) = bypass.parse();
    Ok(Proxies { http: proxy(&HTTP)?, https: proxy(&HTTPS)?, bypass })
}

/// Variables with the proxy for http, in order of precedence; an empty value disables the proxy.
const HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

fn first<'a>(
    names: &[&'a str],
    variable: impl Fn(&str) -> Option<String>,
) -> Option<(&'a str, String)> {
    names.iter().find_map(|name| Some((*name, variable(name)?)))
}

/// Parses a value without repeating it in errors: it may contain a password.
fn parse(name: &str, value: &str) -> Result<Proxy, Usage> {
    value.parse().map_err(|error| {
        Usage::new(
            format!("{name} cannot be used: {error}"),
            format!("write it as {name}=http://HOST:PORT, or unset it"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(set: &[(&str, &str)]) -> Result<Proxies, Usage> {
        read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
    }

    fn shown(proxy: Option<Proxy>) -> Option<String> {
        proxy.map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_proxy_of_a_scheme_comes_before_that_of_all() {
        let found = read_from(&[
            ("ALL_PROXY", "http://all.test:1"),
            ("https_proxy", "http://https.test:2"),
        ])
        .unwrap();
        assert_eq!(shown(found.https).as_deref(), Some("http://https.test:2"));
        assert_eq!(shown(found.http).as_deref(), Some("http://all.test:1"));
    }

    #[test]
    fn lower_case_comes_first_and_an_empty_one_switches_off() {
        let found = read_from(&[
            ("HTTP_PROXY", "http://upper.test:1"),
            ("http_proxy", "http://lower.test:1"),
        ])
        .unwrap();
        assert_eq!(shown(found.http).as_deref(), Some("http://lower.test:1"));
        let found = read_from(&[("http_proxy", ""), ("ALL_PROXY", "http://all.test:1")]).unwrap();
        assert_eq!(shown(found.http), None);
    }

    #[test]
    fn a_bad_proxy_is_named_by_its_variable_without_its_password() {
        let error = read_from(&[("HTTPS_PROXY", "socks5://user:secret@proxy.test")])
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "HTTPS_PROXY cannot be used: only http:// and https:// proxies are supported"
        );
    }
}
