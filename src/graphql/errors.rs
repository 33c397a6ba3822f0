//! What a caller is shown when something is refused or fails. Resolvers use `?` on this crate's own errors; [`Reveal`] turns
//! them into messages with a code, and logs a fault once with its causes, which are never shown.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextRequest, NextSubscribe,
};
use async_graphql::{Enum, Response, ServerError, SimpleObject};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::RequestContext;
use crate::base::{Code, Error, Refusal, Result};

/// What a caller can get wrong.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Code")]
pub enum ErrorCode {
    /// A value is not allowed; the message says what is.
    Invalid,
    /// What is named does not exist, or is not yours to see.
    NotFound,
    /// It is already there, or in a state that does not allow this.
    Conflict,
    /// The referral would make a member its own ancestor.
    Cycle,
    /// The idempotency key was used before with other arguments.
    IdempotencyKeyReused,
    /// The key's role does not allow this.
    Forbidden,
    /// A cap was reached.
    LimitReached,
    /// It is past its time.
    Expired,
    /// A fraud decision forbids it.
    FraudBlocked,
    /// The campaign's budget does not cover it.
    InsufficientBudget,
    /// The books do not add up: nothing is paid out until they do.
    LedgerBroken,
}

/// One thing that the caller can mend.
#[derive(SimpleObject, Clone, Debug)]
pub struct UserError {
    /// What kind of mistake it is.
    pub code: ErrorCode,
    /// One sentence that says what to do.
    pub message: String,
    /// The path to the field of the input, outermost first. Empty where no single field is to blame.
    pub path: Vec<String>,
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code.into(), message: refusal.message, path: refusal.path }
    }
}

/// A mutation's outcome: its result, or what the caller can mend. A FORBIDDEN of the role and every fault stay errors.
pub fn settle<T>(result: Result<T>) -> async_graphql::Result<(Option<T>, Vec<UserError>)> {
    match result {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(Error::Refused(refusals)) if refusals.iter().all(|refusal| refusal.code != Code::Forbidden) => {
            Ok((None, refusals.into_iter().map(UserError::from).collect()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Declares a mutation's payload: the result under its own name, null where the mutation was refused, and `userErrors`.
#[macro_export]
macro_rules! payload {
    ($(#[$meta:meta])* $name:ident { $(#[$doc:meta])* $field:ident: $type:ty $(,)? }) => {
        $(#[$meta])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$doc])*
            pub $field: Option<$type>,
            /// What the caller can mend. Empty where the mutation took effect.
            pub user_errors: Vec<$crate::graphql::errors::UserError>,
        }

        impl $name {
            /// The payload of an outcome.
            pub fn of<T: Into<$type>>(result: $crate::base::Result<T>) -> async_graphql::Result<Self> {
                let (value, user_errors) = $crate::graphql::errors::settle(result)?;
                Ok(Self { $field: value.map(Into::into), user_errors })
            }
        }
    };
}

/// A fault that several fields of one request share: a failed batch. It is logged once.
#[derive(Clone)]
pub struct Shared(Arc<(Error, AtomicBool)>);

impl Shared {
    #[must_use]
    pub fn new(error: Error) -> Self {
        Self(Arc::new((error, AtomicBool::new(false))))
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

/// The extension that turns our errors into what is shown, for answers and for each event of a subscription.
pub struct Reveal;

impl ExtensionFactory for Reveal {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Reveal {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        reveal(next.run(ctx).await)
    }

    fn subscribe<'s>(
        &self,
        ctx: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        next.run(ctx, stream).map(reveal).boxed()
    }

    // Each event of a subscription is an execution of its own and must not be answered from the cache of the one before.
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        if let Some(request) = ctx.data_opt::<RequestContext>() {
            request.loaders.forget().await;
        }
        next.run(ctx, operation_name).await
    }
}

fn reveal(mut response: Response) -> Response {
    for error in &mut response.errors {
        if let Some(ours) = error.source::<Error>() {
            log_fault(ours);
            *error = shown(ours, error);
        } else if let Some(shared) = error.source::<Shared>() {
            if !shared.0.1.swap(true, Ordering::Relaxed) {
                log_fault(&shared.0.0);
            }
            *error = shown(&shared.0.0, error);
        }
    }
    response
}

fn shown(ours: &Error, error: &ServerError) -> ServerError {
    let mut extensions = error.extensions.clone().unwrap_or_default();
    let (code, message) = match ours {
        Error::Refused(refusals) => {
            let messages: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
            let paths = refusals.iter().map(|refusal| refusal.path.join(".")).filter(|path| !path.is_empty());
            if let Some(argument) = paths.into_iter().next() {
                extensions.set("argument", argument);
            }
            (refusals.first().map_or("INVALID", |refusal| refusal.code.as_str()), messages.join(" "))
        }
        Error::Fault { is_transient: true, .. } => {
            ("UNAVAILABLE", "The service cannot answer now: try again in a moment.".to_owned())
        }
        Error::Fault { .. } => ("INTERNAL", "Something failed on our side; it has been logged.".to_owned()),
    };
    extensions.set("code", code);
    ServerError {
        message,
        source: None,
        locations: error.locations.clone(),
        path: error.path.clone(),
        extensions: Some(extensions),
    }
}

fn log_fault(error: &Error) {
    if let Error::Fault { doing, is_transient, .. } = error {
        let cause = error as &dyn std::error::Error;
        tracing::error!(doing, is_transient, error = cause, "a GraphQL field failed");
    }
}
