//! The kinds of differences between ledger, attempts and bills. docs/reconciliation.md says what each
//! means and what to do about it.

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// How two of the three sides contradict each other.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stored name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    /// We hold it for paid; no bill that could show it does.
    PaidNotInBill = "paid_not_in_bill",
    /// The bill has money that went to, or came back from, somebody we never asked it for.
    InBillNotOurs = "in_bill_not_ours",
    /// The bill says paid; we say failed, unknown or still waiting.
    InBillNotPaid = "in_bill_not_paid",
    /// Both say paid, and not the same amount.
    AmountDiffers = "amount_differs",
    /// More went out than was asked for, under one number or under two of one cash-out.
    PaidTwice = "paid_twice",
    /// Money that we hold for paid came back, as a bank's late return does.
    Returned = "returned",
    /// The ledger let the money leave, and no attempt of the cash-out is paid.
    SettledNotPaid = "settled_not_paid",
    /// The attempt is paid, and the ledger did not let the money leave.
    PaidNotSettled = "paid_not_settled",
    /// The ledger let another amount leave than the attempt pays.
    LedgerAmountDiffers = "ledger_amount_differs",
}
