//! A password that cannot be printed by accident.

use std::fmt;

/// A password. `Debug` and `Display` show a mask of fixed length.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The value of a Secret's key. One trailing newline is no part of the
    /// password, as for the server in the chart.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        let mut value = value.into();
        if value.last() == Some(&b'\n') {
            value.pop();
        }
        Self(value)
    }

    /// The password itself, to be given to the server and nowhere else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_masked_and_loses_one_newline_only() {
        let secret = Secret::new("hunter2\n\n");
        assert_eq!(secret.expose(), b"hunter2\n");
        assert_eq!(format!("{secret} {secret:?}"), "******** ********");
    }
}
