//! Methods of training side by side: one start, one budget, equal tuning, several seeds.
//!
//! Every stochastic method whose learning rate is not given is tuned: one run with each of [`Race::factors`] times its default
//! rate, with a seed of its own; the rate with the lowest final objective is kept and run with [`Race::seeds`] other seeds. The
//! runs that tuning took are counted beside. Methods that take all samples at once are not random and run once, untuned.
//!
//! Excess is `(f − f*) / max(1, |f*|)`, where `f*` is what a trust-region method reaches from the best answer of all runs (for a
//! convex objective the minimum); work is counted in gradient equivalents.

use super::{Learner, Log, Optimizer, Task, Trained, Training, full_batch};
use crate::dataset::Parts;
use crate::error::{Error, Result};

/// Excesses for which the work is told.
pub const EXCESSES: [f64; 4] = [1e-1, 1e-2, 1e-4, 1e-8];

/// What is compared, and how.
#[derive(Clone)]
pub struct Race {
    /// The model.
    pub learner: Learner,
    /// The methods.
    pub optimizers: Vec<Optimizer>,
    /// Budget of each run: gradient equivalents, one a pass through the data.
    pub epochs: u64,
    /// Samples in a batch; `None` is each method's usual number.
    pub batch: Option<usize>,
    /// Runs of a random method.
    pub seeds: u64,
    /// Learning rates of the tuning, in default rates.
    pub factors: Vec<f64>,
    /// Time limit of each run in seconds.
    pub seconds: Option<f64>,
}

/// The rates that are tried: half decades around the default.
pub fn half_decades(count: usize) -> Vec<f64> {
    let middle = (count.saturating_sub(1)) as f64 / 2.0;
    (0..count).map(|i| 10f64.powf(0.5 * (i as f64 - middle))).collect()
}

/// A rate as people write it.
fn three_digits(rate: f64) -> f64 {
    let unit = 10f64.powf(rate.log10().floor() - 2.0);
    format!("{:.2e}", (rate / unit).round() * unit).parse().unwrap_or(rate)
}

/// One method's runs.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Lane {
    /// The method, its tuned learning rate included.
    pub optimizer: String,
    /// Rates that were tried, with the final objective; infinite for a run that diverged.
    pub tuning: Vec<(f64, f64)>,
    /// Gradient equivalents of the tuning.
    pub tuning_work: f64,
    /// The runs, one a seed.
    pub runs: Vec<Trained>,
}

/// Outcomes of all methods.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Raced {
    /// The objective that excesses are measured from.
    pub lowest: f64,
    /// The budget in gradient equivalents.
    pub budget: f64,
    /// The methods.
    pub lanes: Vec<Lane>,
}

/// Tenth part, median and ninth tenth of several runs.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Band {
    /// A tenth of the runs lie below.
    pub low: f64,
    /// Half of the runs lie below.
    pub median: f64,
    /// Nine tenths of the runs lie below.
    pub high: f64,
}

impl Band {
    /// Of any number of values; linear between order statistics, infinite values allowed.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let place = q * (values.len() - 1) as f64;
            let (below, part) = (values[place.floor() as usize], place.fract());
            let above = values[place.ceil() as usize];
            if part == 0.0 || below == above { below } else { below + part * (above - below) }
        };
        (!values.is_empty()).then(|| Self { low: quantile(0.1), median: quantile(0.5), high: quantile(0.9) })
    }
}

impl Race {
    /// Checks what needs no samples.
    ///
    /// # Errors
    /// As [`Training::validate`]; [`Error::Config`] for no method, no seed or rates that are not positive.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(!self.optimizers.is_empty(), "optimizers", "at least one", 0)?;
        Error::check_option(self.seeds > 0, "seeds", "positive", self.seeds)?;
        Error::check_option(!self.factors.is_empty(), "tuning rates", "at least one", 0)?;
        let bad = self.factors.iter().find(|factor| !(**factor > 0.0 && factor.is_finite()));
        bad.map_or(Ok(()), |factor| Error::check_option(false, "tuning rate", "positive", factor))?;
        self.optimizers.iter().try_for_each(|optimizer| self.training(optimizer, 0).validate())
    }

    /// Runs that will be made, at most.
    pub fn n_runs(&self) -> usize {
        let runs = |optimizer: &Optimizer| match optimizer {
            Optimizer::FullBatch(_) => 1,
            tuned if tuned.default_rate().is_some() => self.factors.len() + self.seeds as usize,
            _ => self.seeds as usize,
        };
        self.optimizers.iter().map(runs).sum()
    }

    fn training(&self, optimizer: &Optimizer, seed: u64) -> Training {
        let batch = match optimizer {
            Optimizer::Stochastic { entry, .. } => Some(self.batch.unwrap_or(entry.estimation.batch())),
            Optimizer::FullBatch(_) => None,
        };
        let optimizer = optimizer.clone();
        Training {
            learner: self.learner.clone(),
            optimizer,
            epochs: self.epochs,
            batch,
            seed,
            patience: None,
            seconds: self.seconds,
        }
    }

    /// Runs everything; `progress` is told the method of each run that ends.
    ///
    /// # Errors
    /// As [`Training::run`].
    pub fn run(&self, parts: &Parts, progress: &mut dyn FnMut(&str)) -> Result<Raced> {
        self.validate()?;
        let mut lanes = Vec::new();
        for optimizer in &self.optimizers {
            lanes.push(self.lane(optimizer, parts, progress)?);
        }
        let objectives = lanes.iter().flat_map(|lane| &lane.runs).flat_map(|run| run.history.iter().map(|p| p.objective));
        let lowest = objectives.filter(|f| f.is_finite()).fold(f64::INFINITY, f64::min);
        let polished = self.polished(&lanes, parts)?.filter(|f| *f < lowest);
        Ok(Raced { lowest: polished.unwrap_or(lowest), budget: self.epochs as f64, lanes })
    }

    /// What a trust-region method reaches from the best answer; nothing for a loss without second derivatives.
    fn polished(&self, lanes: &[Lane], parts: &Parts) -> Result<Option<f64>> {
        let best = lanes.iter().flat_map(|lane| &lane.runs).reduce(|a, b| if b.objective < a.objective { b } else { a });
        let reference = Optimizer::parse("trust_region_steihaug:gtol=1e-12")?;
        let training = Training { epochs: 500, seconds: Some(60.0), ..self.training(&reference, 0) };
        let (Some(best), Optimizer::FullBatch(setup), Ok(())) = (best, &reference, training.validate()) else { return Ok(None) };
        let (task, _) = Task::new(&self.learner, &parts.train, None)?;
        let finished = full_batch::run(&training, setup, &task, &best.parameters, &Log::new(Box::new(|_| {})))?;
        Ok(Some(task.objective(&finished.parameters)?))
    }

    fn lane(&self, optimizer: &Optimizer, parts: &Parts, progress: &mut dyn FnMut(&str)) -> Result<Lane> {
        let mut run = |optimizer: &Optimizer, seed: u64| {
            let trained = self.training(optimizer, seed).run(parts, Box::new(|_| {}));
            progress(&optimizer.name());
            trained
        };
        let (mut tuning, mut tuning_work, mut best) = (Vec::new(), 0.0, None);
        if let Some(rate) = optimizer.default_rate() {
            for factor in &self.factors {
                let rate = three_digits(rate * factor);
                let candidate = optimizer.with_rate(rate)?;
                let trained = run(&candidate, 0)?;
                let objective = if trained.sound && trained.last().is_finite() { trained.last() } else { f64::INFINITY };
                tuning_work += trained.work();
                tuning.push((rate, objective));
                if best.as_ref().is_none_or(|(lowest, _)| objective < *lowest) {
                    best = Some((objective, candidate));
                }
            }
        }
        let chosen = best.map_or_else(|| optimizer.clone(), |(_, candidate)| candidate);
        let seeds = if matches!(chosen, Optimizer::FullBatch(_)) { 1 } else { self.seeds };
        // The seed of the tuning is not among them.
        let runs = (1..=seeds).map(|seed| run(&chosen, seed)).collect::<Result<_>>()?;
        Ok(Lane { optimizer: chosen.name(), tuning, tuning_work, runs })
    }
}

impl Lane {
    /// Whether the tuned rate is the least or the greatest that was tried: a wider grid may do better.
    pub fn at_end_of_grid(&self) -> bool {
        let best = self.tuning.iter().enumerate().reduce(|a, b| if b.1.1 < a.1.1 { b } else { a });
        best.is_some_and(|(i, _)| self.tuning.len() > 1 && (i == 0 || i + 1 == self.tuning.len()))
    }
}

impl Trained {
    /// The objective where the run ended, which need not be the answer.
    fn last(&self) -> f64 {
        self.history.last().map_or(f64::NAN, |p| p.objective)
    }

    /// Gradient equivalents of the run.
    pub fn work(&self) -> f64 {
        self.history.last().map_or(0.0, |p| p.work)
    }
}

impl Raced {
    /// `(f − f*) / max(1, |f*|)`; infinite where `f` is no number.
    pub fn excess(&self, objective: f64) -> f64 {
        let excess = (objective - self.lowest) / self.lowest.abs().max(1.0);
        if excess.is_nan() { f64::INFINITY } else { excess }
    }

    /// The excesses of a method's runs once they had done so much work.
    pub fn at(&self, lane: &Lane, work: f64) -> Option<Band> {
        let value = |run: &Trained| {
            let done = run.history.iter().take_while(|p| p.work <= work * (1.0 + 1e-12)).last();
            done.map_or(f64::INFINITY, |p| self.excess(p.objective))
        };
        Band::of(lane.runs.iter().map(value).collect())
    }

    /// Work and seconds until the excess first fell to a bound, within the budget; infinite for runs that never got there.
    pub fn until(&self, lane: &Lane, excess: f64) -> Option<(Band, Band)> {
        let first = |run: &Trained| {
            let within = run.history.iter().filter(|p| p.work <= self.budget * (1.0 + 1e-12));
            let found = within.into_iter().find(|p| self.excess(p.objective) <= excess);
            found.map_or((f64::INFINITY, f64::INFINITY), |p| (p.work, p.seconds))
        };
        let (work, seconds) = lane.runs.iter().map(first).unzip();
        Some((Band::of(work)?, Band::of(seconds)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Source, Split};
    use crate::model::Activation;
    use crate::study::training::ModelKind;

    #[test]
    fn bands_are_quantiles_and_infinity_is_a_value() {
        let band = Band::of((0..=10).map(f64::from).collect()).unwrap();
        assert_eq!((band.low, band.median, band.high), (1.0, 5.0, 9.0));
        let band = Band::of(vec![f64::INFINITY, 1.0, f64::INFINITY]).unwrap();
        assert_eq!(band.median, f64::INFINITY);
        assert_eq!(band.high, f64::INFINITY);
        assert_eq!(Band::of(vec![]), None);
        assert_eq!((three_digits(0.1 * 10f64.sqrt()), three_digits(1e-5), three_digits(10.0)), (0.316, 1e-5, 10.0));
        assert_eq!(half_decades(3), [10f64.powf(-0.5), 1.0, 10f64.powf(0.5)]);
    }

    #[test]
    fn tuned_methods_get_the_same_grid_and_random_ones_all_seeds() {
        let optimizers = ["sgd", "adam:lr=0.02", "newton"].map(|name| Optimizer::parse(name).unwrap()).to_vec();
        let learner = Learner {
            model: ModelKind::Multinomial,
            layers: vec![],
            activation: Activation::Tanh,
            loss: None,
            l2: Some(1e-2),
            seed: 0,
        };
        let race = Race { learner, optimizers, epochs: 200, batch: None, seeds: 4, factors: half_decades(3), seconds: None };
        let kind = race.learner.target_kind().unwrap();
        let iris = Source { name: "iris".into(), target: None, kind }.open().unwrap();
        let parts = iris.split(&Split { validation: 0.0, test: 0.2, seed: 1, stratified: true }).unwrap();
        let mut runs = 0;
        let raced = race.run(&parts, &mut |_| runs += 1).unwrap();
        assert_eq!((runs, race.n_runs()), (3 + 4 + 4 + 1, 12));
        let [sgd, adam, newton] = &raced.lanes[..] else { panic!("{} lanes", raced.lanes.len()) };
        assert_eq!((sgd.tuning.len(), adam.tuning.len(), newton.tuning.len()), (3, 0, 0));
        assert_eq!((sgd.runs.len(), adam.runs.len(), newton.runs.len()), (4, 4, 1));
        let best = sgd.tuning.iter().copied().reduce(|a, b| if b.1 < a.1 { b } else { a }).unwrap();
        assert!(sgd.optimizer.contains(&format!("lr={}", best.0)), "{} {best:?}", sgd.optimizer);
        let ends = [sgd.tuning[0].0, sgd.tuning[2].0];
        assert_eq!(sgd.at_end_of_grid(), ends.contains(&best.0));
        assert!(!newton.at_end_of_grid());
        // The tuning's objective is that of a run with the tuning's own seed.
        let again = race.training(&Optimizer::parse(&sgd.optimizer).unwrap(), 0).run(&parts, Box::new(|_| {})).unwrap();
        assert_eq!(again.last(), best.1);
        // Newton ends at the minimum of this strictly convex objective: it is the lowest of all, to rounding.
        assert!(raced.excess(newton.runs[0].last()) <= 1e-12);
        assert!(raced.until(newton, 1e-8).unwrap().0.median < f64::INFINITY);
        let band = raced.at(sgd, 200.0).unwrap();
        assert!(band.low <= band.median && band.median <= band.high && band.high < raced.at(sgd, 1.0).unwrap().median);
        // One pass is one gradient equivalent; a Newton iteration is more.
        assert!((sgd.runs[0].work() - 200.0).abs() < 1e-9);
        assert!(newton.runs[0].work() > 2.0 * newton.runs[0].epochs);
    }
}
