//! The one table of entry kinds: number, name, direction and which lifetime total it moves.
//!
//! Numbers and names are document 2's `process_type` and `trade_type` (8 购物, 31 返钱, 35 任务) and,
//! where it is silent, its origin system's; 36 and 37 are ours. Must not know: balances, accounts, JSON.

/// Which way available money may move under a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the account.
    In,
    /// Out of the account.
    Out,
    /// Either way: the sign tells.
    Either,
    /// Back from a hold; never a transfer of its own.
    Back,
    /// Moves nothing: it only leaves a line in the history.
    Still,
}

/// Which lifetime total a movement of the account's whole (available + frozen) belongs to, so that
/// always income - spend - withdrawn = available + frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// What came in counts as income, what goes out as spend.
    BySign,
    /// What came in lowers spend: the money of a purchase returns.
    Spend,
    /// What goes out counts as withdrawn.
    Withdrawn,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Document 2's `process_type`.
    pub number: u8,
    /// Document 2's `trade_type`, as people read it.
    pub name: &'static str,
    /// Which way it goes.
    pub direction: Direction,
    /// The total it moves.
    pub total: Total,
    /// The counter-account when the caller names none.
    pub counter: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $direction:ident, $total:ident, $counter:literal;)*) => {
        /// The kind of a movement.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $variant = $number,)* }

        impl Kind {
            /// Every kind, by number.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The row of this kind.
            #[must_use]
            pub const fn row(self) -> Row {
                match self { $(Kind::$variant => Row {
                    number: $number, name: $name, direction: Direction::$direction,
                    total: Total::$total, counter: $counter,
                },)* }
            }

            /// The kind of that number, if there is one.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<Kind> {
                match number { $($number => Some(Kind::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Money the person put in.
    Recharge = 1, "充值", In, BySign, "platform:recharge";
    /// The payout of a cash-out, and the hold for it.
    Withdrawal = 4, "提现", Out, Withdrawn, "payout:manual";
    /// An operator's correction.
    Adjustment = 5, "管理员调整", Either, BySign, "platform:adjustment";
    /// A purchase paid from the balance.
    Purchase = 8, "购物", Out, BySign, "platform:sales";
    /// The money of a cancelled order.
    OrderCancelled = 10, "取消订单退款", In, Spend, "platform:sales";
    /// A refund.
    Refund = 11, "退款", In, Spend, "platform:sales";
    /// A withdrawal was refused or failed: the money is back.
    WithdrawalReturned = 18, "提现退回", Back, BySign, "";
    /// Earnings of a teacher or seller.
    Settlement = 19, "结算收入", In, BySign, "platform:income";
    /// A withdrawal was cancelled by its owner: the money is back.
    WithdrawalCancelled = 24, "取消提现", Back, BySign, "";
    /// The fee of a cash-out.
    WithdrawalFee = 26, "提现手续费", Out, Withdrawn, "fee:income";
    /// A rebate.
    Rebate = 31, "返钱", In, BySign, "platform:income";
    /// Pay for a task.
    Task = 35, "任务", In, BySign, "platform:income";
    /// Between two customers.
    Transfer = 36, "转账", Either, BySign, "";
    /// An operator locked or unlocked the account; nothing moved.
    StateChange = 37, "账户状态变更", Still, BySign, "";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_documented_ones_and_found_again() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(i32::from(kind.row().number)), Some(*kind));
        }
        for (number, name) in [(8, "购物"), (31, "返钱"), (35, "任务")] {
            assert_eq!(Kind::from_number(number).map(|k| k.row().name), Some(name));
        }
    }

    #[test]
    fn the_proto_enum_names_the_same_kinds() {
        use cashout_proto::account::v1::EntryKind;
        for number in 0..100 {
            let proto = EntryKind::try_from(number).is_ok() && number != 0;
            assert_eq!(proto, Kind::from_number(number).is_some(), "{number}");
        }
    }
}
