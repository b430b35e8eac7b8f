//! From values of labels and numbers to samples in the exposition format. No IO.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::histogram::Histogram;

use super::table::{Kind, Metric};

/// Counts of one metric, by the values of its labels in the table's order.
pub(super) struct Counts {
    metric: Metric,
    counts: Mutex<BTreeMap<Vec<String>, u64>>,
}

impl Counts {
    pub(super) fn new(metric: Metric) -> Self {
        Self { metric, counts: Mutex::default() }
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, u64>> {
        // A panic elsewhere cannot have left half a count.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub(super) fn add(&self, values: &[&str]) {
        self.add_all(values, 1);
    }

    /// So many more; none still makes the series.
    pub(super) fn add_all(&self, values: &[&str], more: u64) {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let mut counts = self.map();
        let count = counts.entry(values).or_default();
        *count = count.saturating_add(more);
    }

    /// Forgets the series whose first label is none of these: their object is gone.
    pub(super) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.map().retain(|values, _| values.first().is_some_and(|first| is_there(first)));
    }

    pub(super) fn write(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let samples: Vec<_> = self.map().iter().map(|(values, count)| (values.clone(), *count)).collect();
        samples_of(encoder, &self.metric, samples)
    }
}

/// Writes a metric. Values stand in the order of the table's labels.
pub(super) fn samples_of<V, N, L>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    samples: impl IntoIterator<Item = (L, N)>,
) -> fmt::Result
where
    V: AsRef<str>,
    N: EncodeGaugeValue + EncodeCounterValue,
    L: AsRef<[V]>,
{
    let mut family = begin(encoder, metric)?;
    for (values, number) in samples {
        let labels = labels(metric, values.as_ref());
        match metric.kind {
            Kind::Info => family.encode_info(&labels)?,
            Kind::Counter if labels.is_empty() => family.encode_counter::<NoLabelSet, N, f64>(&number, None)?,
            Kind::Counter => family.encode_family(&labels)?.encode_counter::<NoLabelSet, N, f64>(&number, None)?,
            Kind::Gauge if labels.is_empty() => family.encode_gauge(&number)?,
            Kind::Gauge => family.encode_family(&labels)?.encode_gauge(&number)?,
            // Written from a histogram alone.
            Kind::Histogram => return Err(fmt::Error),
        }
    }
    Ok(())
}

/// Writes a metric that has one sample and no labels.
pub(super) fn number<N>(encoder: &mut DescriptorEncoder<'_>, metric: &Metric, number: N) -> fmt::Result
where
    N: EncodeGaugeValue + EncodeCounterValue,
{
    samples_of(encoder, metric, [([""; 0], number)])
}

/// Writes histograms by the value of the metric's one label.
pub(super) fn histograms<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    histograms: impl IntoIterator<Item = (&'a str, &'a Histogram)>,
) -> fmt::Result {
    let mut family = begin(encoder, metric)?;
    for (value, histogram) in histograms {
        histogram.encode(family.encode_family(&labels(metric, &[value]))?)?;
    }
    Ok(())
}

fn begin<'e>(encoder: &'e mut DescriptorEncoder<'_>, metric: &Metric) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_descriptor(metric.family(), metric.help, None, metric.kind.into())
}

fn labels<'a, V: AsRef<str>>(metric: &Metric, values: &'a [V]) -> Vec<(&'static str, &'a str)> {
    metric.labels.iter().copied().zip(values.iter().map(AsRef::as_ref)).collect()
}
