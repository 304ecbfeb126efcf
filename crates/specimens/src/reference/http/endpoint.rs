//! The address for messages, as a server with server-sent events names it.

use hyper::Uri;

use super::error::HttpError;

/// The target of a POST: a path with its query, at the server that named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Resolves what a server says, which may be relative to the address of its stream.
    ///
    /// It says so to everybody who asks for its stream, and what is posted may be secret: another origin is refused.
    ///
    /// # Errors
    /// [`HttpError::ForeignEndpoint`] or [`HttpError::BadEndpoint`].
    ///
    /// Source: RFC 3986, 5.2, Relative Resolution.
    pub fn resolve(authority: &str, target: &str, found: &str) -> Result<Self, HttpError> {
        let reference = found.trim().split('#').next().unwrap_or_default();
        let bad = || HttpError::BadEndpoint { found: found.to_owned() };
        let foreign = || HttpError::ForeignEndpoint { found: found.to_owned(), origin: format!("http://{authority}") };
        let absolute = match (reference, scheme(reference)) {
            (network, None) if network.starts_with("//") => Some(format!("http:{network}")),
            (_, None) => None,
            (_, Some(_)) => Some(reference.to_owned()),
        };
        let resolved = match absolute {
            Some(absolute) => {
                let uri = absolute.parse::<Uri>().map_err(|_| bad())?;
                if !is_same_origin(&uri, authority) {
                    return Err(foreign());
                }
                uri.path_and_query().map_or("/", |target| target.as_str()).to_owned()
            }
            None => beside(target, reference),
        };
        // Characters that no target may hold are found here.
        Uri::try_from(resolved.as_str()).map_err(|_| bad())?;
        Ok(Self(resolved))
    }

    /// The path with its query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The scheme of a reference, if it has one.
fn scheme(reference: &str) -> Option<&str> {
    let (scheme, _) = reference.split_once(':')?;
    let is_first = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_scheme = scheme.chars().all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one));
    (is_first && is_scheme).then_some(scheme)
}

fn is_same_origin(uri: &Uri, authority: &str) -> bool {
    let Ok(own) = authority.parse::<hyper::http::uri::Authority>() else { return false };
    let Some(found) = uri.authority() else { return false };
    uri.scheme_str() == Some("http")
        && !found.as_str().contains('@')
        && found.host().eq_ignore_ascii_case(own.host())
        && found.port_u16().unwrap_or(80) == own.port_u16().unwrap_or(80)
}

/// A relative reference, as seen from a target.
fn beside(target: &str, reference: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let (wanted, query) = match reference.split_once('?') {
        Some((wanted, query)) => (wanted, format!("?{query}")),
        None => (reference, String::new()),
    };
    let whole = match wanted {
        "" => path.to_owned(),
        absolute if absolute.starts_with('/') => without_dots(absolute),
        relative => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            without_dots(&format!("{folder}/{relative}"))
        }
    };
    whole + &query
}

/// A path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let ends_in_folder = matches!(path.rsplit('/').next(), Some("." | ".."));
    for segment in segments {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let end = if ends_in_folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}
