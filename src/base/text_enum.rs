//! Closed sets that stand as text in SQL and in GraphQL under the same names.

/// Makes an enum with its written names: `as_str`, `parse` and `ALL`.
#[macro_export]
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as SQL and GraphQL write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of a written name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// Reads a column that a CHECK holds to these names.
            pub fn from_column(text: &str) -> $crate::base::Result<Self> {
                Self::parse(text).ok_or_else(|| {
                    $crate::base::Error::fault(concat!("reading a column of ", stringify!($name)), text.to_owned())
                })
            }
        }
    };
}
