//! Metric families for Prometheus.
//!
//! Not made with `prometheus-client`: it writes OpenMetrics, where `promtool check metrics` complains of the counters'
//! names.
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

use super::figures::DistributionFigures;

/// Labels of a value, as names and values.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// Families of one scrape. Names begin with `parlance_`.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// Returns the media type of [`Families::text`].
    pub(super) fn content_type() -> String {
        TextEncoder::new().format_type().to_owned()
    }

    /// Adds a counter, which only rises, from the start of the server.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [(&[][..], value as f64)]);
    }

    /// Adds a counter with labels.
    pub(super) fn counters<'a>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        let metric = |(labels, value)| {
            let (mut metric, mut counter) = (labelled(labels), Counter::default());
            counter.set_value(value);
            metric.set_counter(counter);
            metric
        };
        self.add(name, help, MetricType::COUNTER, values.into_iter().map(metric).collect());
    }

    /// Adds a gauge, which rises and falls.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(&[][..], value)]);
    }

    /// Adds a gauge with labels.
    pub(super) fn gauges<'a>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        let metric = |(labels, value)| {
            let (mut metric, mut gauge) = (labelled(labels), Gauge::default());
            gauge.set_value(value);
            metric.set_gauge(gauge);
            metric
        };
        self.add(name, help, MetricType::GAUGE, values.into_iter().map(metric).collect());
    }

    /// Adds a histogram.
    pub(super) fn histogram(&mut self, name: &str, help: &str, distribution: &DistributionFigures) {
        let DistributionFigures { count, sum, buckets } = distribution;
        let buckets = buckets.iter().map(|bucket| {
            let mut shown = Bucket::default();
            shown.set_upper_bound(bucket.up_to);
            shown.set_cumulative_count(bucket.count);
            shown
        });
        let (mut metric, mut histogram) = (Metric::default(), Histogram::default());
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(*count);
        histogram.set_sample_sum(*sum);
        metric.set_histogram(histogram);
        self.add(name, help, MetricType::HISTOGRAM, vec![metric]);
    }

    /// Adds families made elsewhere.
    pub(super) fn extend(&mut self, families: Vec<MetricFamily>) {
        self.0.extend(families.into_iter().filter(|family| !family.get_metric().is_empty()));
    }

    /// Returns all families in Prometheus' text format.
    ///
    /// # Errors
    /// If a family is malformed, which would be a defect here.
    pub(super) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0)
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(format!("parlance_{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.extend(vec![family]);
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pair = |(name, value): &(&'static str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}
