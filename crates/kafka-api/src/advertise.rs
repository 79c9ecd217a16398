//! What a client is told to connect to.
//!
//! An explicit setting wins. Otherwise a peer on loopback is told `localhost`, and any other peer
//! the address it has just reached, so that it works without configuration.

use std::net::IpAddr;
use std::str::FromStr;

use crate::Ends;

/// The setting `advertise`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Advertise {
    /// By the connection that asks.
    #[default]
    Auto,
    /// Always the same.
    Fixed {
        /// A name or an address.
        host: String,
        /// A port; absent: the one that is listened on.
        port: Option<u16>,
    },
}

/// A text that is not an advertised address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither auto, HOST nor HOST:PORT (an IPv6 address with a port stands in brackets)"
)]
pub struct InvalidAdvertise(String);

impl FromStr for Advertise {
    type Err = InvalidAdvertise;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAdvertise(text.to_owned());
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let fixed = |host: &str, port: Option<u16>| {
            let usable = !host.is_empty() && !host.contains(char::is_whitespace);
            usable
                .then(|| Self::Fixed {
                    host: host.to_owned(),
                    port,
                })
                .ok_or_else(invalid)
        };
        if let Some(bracketed) = text.strip_prefix('[') {
            let (host, rest) = bracketed.split_once(']').ok_or_else(invalid)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port.parse().map_err(|_not_a_port| invalid())?),
                None if rest.is_empty() => None,
                None => return Err(invalid()),
            };
            return fixed(host, port);
        }
        if text.parse::<IpAddr>().is_ok() {
            return fixed(text, None);
        }
        match text.split_once(':') {
            None => fixed(text, None),
            Some((host, port)) => fixed(host, Some(port.parse().map_err(|_not_a_port| invalid())?)),
        }
    }
}

impl Advertise {
    /// Host and port for the client at the other end of `ends`.
    pub(crate) fn to(&self, ends: Ends) -> (String, u16) {
        let listening = ends.local.port();
        match self {
            Self::Fixed { host, port } => (host.clone(), port.unwrap_or(listening)),
            Self::Auto if ends.peer.ip().to_canonical().is_loopback() => {
                ("localhost".to_owned(), listening)
            }
            Self::Auto => (ends.local.ip().to_canonical().to_string(), listening),
        }
    }
}

#[cfg(test)]
mod tests;
