//! Sets of whole numbers as intervals: the algebra that ports and addresses share. No IO.
//!
//! A set is kept sorted, its intervals disjoint and never adjacent, so that equal sets are equal values.

/// A whole number with a lowest and a highest value.
pub(crate) trait Point: Copy + Ord {
    /// The number above; `None` at the end.
    fn above(self) -> Option<Self>;
    /// The number below; `None` at the start.
    fn below(self) -> Option<Self>;
    /// How many numbers lie from here up to `to`, both counted; saturates.
    fn count_to(self, to: Self) -> u128;
}

macro_rules! point {
    ($number:ty) => {
        impl Point for $number {
            fn above(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn below(self) -> Option<Self> {
                self.checked_sub(1)
            }

            fn count_to(self, to: Self) -> u128 {
                u128::from(to.saturating_sub(self)).saturating_add(1)
            }
        }
    };
}

point!(u16);
point!(u32);
point!(u128);

/// From one number to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Interval<T> {
    /// The lowest.
    pub(crate) from: T,
    /// The highest.
    pub(crate) to: T,
}

/// A set of numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RangeSet<T>(Vec<Interval<T>>);

impl<T> Default for RangeSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Point> RangeSet<T> {
    /// Every number of an interval; nothing, where it is upside down.
    pub(crate) fn of(from: T, to: T) -> Self {
        std::iter::once(Interval { from, to }).collect()
    }

    /// The intervals, from low to high.
    pub(crate) fn intervals(&self) -> &[Interval<T>] {
        &self.0
    }

    /// Whether no number is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a number is in it.
    pub(crate) fn contains(&self, number: T) -> bool {
        let at = self.0.partition_point(|interval| interval.to < number);
        self.0.get(at).is_some_and(|interval| interval.from <= number)
    }

    /// Whether all of another set is in it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.subtract(self).is_empty()
    }

    /// How many numbers are in it; saturates, which only the set of all 128-bit numbers needs.
    pub(crate) fn count(&self) -> u128 {
        self.0.iter().fold(0, |sum, interval| sum.saturating_add(interval.from.count_to(interval.to)))
    }

    /// The numbers of any of the sets.
    pub(crate) fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self
    where
        T: 'a,
    {
        sets.into_iter().flat_map(|set| set.0.iter().copied()).collect()
    }

    /// The numbers of this set that are not in the other.
    pub(crate) fn subtract(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let skipped = self.0.first().map_or(0, |first| other.0.partition_point(|cut| cut.to < first.from));
        let mut cuts = other.0.iter().skip(skipped).peekable();
        for interval in &self.0 {
            let mut rest = Some(*interval);
            while let (Some(piece), Some(cut)) = (rest, cuts.peek()) {
                if cut.from > piece.to {
                    break;
                }
                if cut.to >= piece.from {
                    let before = cut.from.below().filter(|to| *to >= piece.from);
                    left.extend(before.map(|to| Interval { from: piece.from, to }));
                    rest = cut.to.above().filter(|from| *from <= piece.to).map(|from| Interval { from, to: piece.to });
                }
                if cut.to > piece.to {
                    // The cut may reach into the next interval.
                    break;
                }
                cuts.next();
            }
            left.extend(rest);
        }
        Self(left)
    }

    /// The numbers that are in both sets.
    pub(crate) fn intersect(&self, other: &Self) -> Self {
        self.subtract(&self.subtract(other))
    }
}

impl<T: Point> FromIterator<Interval<T>> for RangeSet<T> {
    fn from_iter<I: IntoIterator<Item = Interval<T>>>(intervals: I) -> Self {
        let mut sorted: Vec<_> = intervals.into_iter().filter(|interval| interval.from <= interval.to).collect();
        sorted.sort_unstable();
        let mut merged: Vec<Interval<T>> = Vec::with_capacity(sorted.len());
        for interval in sorted {
            match merged.last_mut() {
                Some(last) if last.to.above().is_none_or(|above| interval.from <= above) => {
                    last.to = last.to.max(interval.to);
                }
                _ => merged.push(interval),
            }
        }
        Self(merged)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Sets near both ends of the numbers, where sums overflow: 0-15 and the sixteen highest.
    fn sets() -> impl Strategy<Value = RangeSet<u16>> {
        let low = (0..16u16, 0..16u16);
        let high = (0..16u16, 0..16u16).prop_map(|(from, to)| (u16::MAX - from, u16::MAX - to));
        prop::collection::vec(prop_oneof![low, high], 0..6)
            .prop_map(|pairs| pairs.into_iter().map(|(from, to)| Interval { from, to }).collect())
    }

    fn numbers(set: &RangeSet<u16>) -> BTreeSet<u16> {
        set.intervals().iter().flat_map(|interval| interval.from..=interval.to).collect()
    }

    fn is_normal(set: &RangeSet<u16>) -> bool {
        set.intervals().iter().all(|interval| interval.from <= interval.to)
            && set.intervals().windows(2).all(|pair| pair[0].to.above().is_some_and(|above| above < pair[1].from))
    }

    proptest! {
        #[test]
        fn the_algebra_equals_brute_force(a in sets(), b in sets()) {
            let (numbers_a, numbers_b) = (numbers(&a), numbers(&b));
            let union = RangeSet::union([&a, &b]);
            prop_assert_eq!(numbers(&union), &numbers_a | &numbers_b);
            prop_assert_eq!(numbers(&a.subtract(&b)), &numbers_a - &numbers_b);
            prop_assert_eq!(numbers(&a.intersect(&b)), &numbers_a & &numbers_b);
            prop_assert_eq!(a.covers(&b), numbers_a.is_superset(&numbers_b));
            prop_assert_eq!(a.count(), numbers_a.len() as u128);
            for set in [&a, &union, &a.subtract(&b), &a.intersect(&b)] {
                prop_assert!(is_normal(set), "{:?}", set);
            }
        }

        #[test]
        fn membership_equals_brute_force(a in sets(), number: u16, low in 0..20u16) {
            for number in [number, low, u16::MAX - low] {
                prop_assert_eq!(a.contains(number), numbers(&a).contains(&number));
            }
        }
    }

    #[test]
    fn the_count_of_all_128_bit_numbers_saturates() {
        assert_eq!(RangeSet::of(0, u128::MAX).count(), u128::MAX);
        assert_eq!(RangeSet::of(1, u128::MAX).count(), u128::MAX);
        assert_eq!(RangeSet::of(0, u32::MAX).count(), 1 << 32);
    }

    #[test]
    fn an_interval_upside_down_holds_nothing() {
        assert!(RangeSet::of(2u16, 1).is_empty());
    }
}
