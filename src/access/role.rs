//! Roles and what each may do: one table, read by every door.

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Admin,
    Growth,
    Finance,
    FraudAnalyst,
    Viewer,
    Bot,
    Ingest,
    Creator,
}

/// One kind of act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read creators, campaigns, members, links, attribution and cohorts.
    ReadGrowth,
    /// Read rewards, balances and payouts.
    ReadMoney,
    /// Read fraud alerts and assessments, and subscribe to them.
    ReadFraud,
    /// Read the inbound event log.
    ReadEvents,
    /// Create and change creators, campaigns and links.
    WriteGrowth,
    /// Change rewards and payouts.
    WriteMoney,
    /// Decide on fraud alerts.
    ReviewFraud,
    /// Send events.
    Ingest,
    /// Make and revoke API keys and webhook sources, and change the brand's settings.
    Administer,
}

impl Permission {
    pub const ALL: [Self; 9] = [
        Self::ReadGrowth,
        Self::ReadMoney,
        Self::ReadFraud,
        Self::ReadEvents,
        Self::WriteGrowth,
        Self::WriteMoney,
        Self::ReviewFraud,
        Self::Ingest,
        Self::Administer,
    ];

    /// The name that `viewer { scopes }` shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadGrowth => "READ_GROWTH",
            Self::ReadMoney => "READ_MONEY",
            Self::ReadFraud => "READ_FRAUD",
            Self::ReadEvents => "READ_EVENTS",
            Self::WriteGrowth => "WRITE_GROWTH",
            Self::WriteMoney => "WRITE_MONEY",
            Self::ReviewFraud => "REVIEW_FRAUD",
            Self::Ingest => "INGEST",
            Self::Administer => "ADMINISTER",
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::ReadGrowth => "read growth data",
            Self::ReadMoney => "read rewards, balances and payouts",
            Self::ReadFraud => "read fraud alerts",
            Self::ReadEvents => "read the event log",
            Self::WriteGrowth => "change creators, campaigns or links",
            Self::WriteMoney => "change rewards or payouts",
            Self::ReviewFraud => "decide on fraud alerts",
            Self::Ingest => "send events",
            Self::Administer => "manage keys, webhook sources and the brand's settings",
        }
    }
}

impl Role {
    pub const ALL: [Self; 8] = [
        Self::Admin,
        Self::Growth,
        Self::Finance,
        Self::FraudAnalyst,
        Self::Viewer,
        Self::Bot,
        Self::Ingest,
        Self::Creator,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Growth => "growth",
            Self::Finance => "finance",
            Self::FraudAnalyst => "fraud_analyst",
            Self::Viewer => "viewer",
            Self::Bot => "bot",
            Self::Ingest => "ingest",
            Self::Creator => "creator",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Everything that the role may do.
    pub fn permissions(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.allows(*permission))
    }

    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Admin => true,
            Self::Growth => {
                matches!(
                    permission,
                    P::ReadGrowth | P::ReadMoney | P::ReadFraud | P::ReadEvents | P::WriteGrowth | P::Ingest
                )
            }
            Self::Finance => {
                matches!(permission, P::ReadGrowth | P::ReadMoney | P::ReadFraud | P::ReadEvents | P::WriteMoney)
            }
            Self::FraudAnalyst => {
                matches!(permission, P::ReadGrowth | P::ReadMoney | P::ReadFraud | P::ReadEvents | P::ReviewFraud)
            }
            Self::Viewer => matches!(permission, P::ReadGrowth | P::ReadMoney | P::ReadFraud | P::ReadEvents),
            Self::Bot => matches!(permission, P::ReadFraud),
            Self::Ingest => matches!(permission, P::Ingest),
            Self::Creator => matches!(permission, P::ReadGrowth | P::ReadMoney),
        }
    }
}
