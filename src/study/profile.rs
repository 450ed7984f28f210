//! Performance profiles (Dolan & Moré, Math. Program. 91, 2002) and data profiles (Moré & Wild, SIAM J. Optim. 20, 2009).
//!
//! Both are distribution functions over problems. With `t_{p,s}` the cost of solver `s` on problem `p` (`+∞` if it
//! failed), the performance profile is `ρ_s(τ) = |{p : t_{p,s} ≤ τ min_s t_{p,s}}| / |P|`. The data profile counts the
//! problems brought below `f_L + tol (f₀ − f_L)` within `κ (n_p + 1)` evaluations.

/// A right-continuous step function that is zero before its first corner.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Staircase {
    /// Where it jumps and the value from there on; both increase.
    pub corners: Vec<(f64, f64)>,
}

impl Staircase {
    /// The empirical distribution of `values` over `total` problems. Values that are not finite never count.
    pub fn distribution(values: impl IntoIterator<Item = f64>, total: usize) -> Self {
        let mut finite: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        finite.sort_by(f64::total_cmp);
        let mut corners: Vec<(f64, f64)> = Vec::new();
        for (i, value) in finite.into_iter().enumerate() {
            let share = (i + 1) as f64 / total.max(1) as f64;
            match corners.last_mut() {
                Some(last) if last.0 == value => last.1 = share,
                _ => corners.push((value, share)),
            }
        }
        Self { corners }
    }

    /// The value at `at`.
    pub fn value(&self, at: f64) -> f64 {
        self.corners.iter().take_while(|c| c.0 <= at).last().map_or(0.0, |c| c.1)
    }

    /// The value at the far right: the share of problems that were solved at all.
    pub fn limit(&self) -> f64 {
        self.corners.last().map_or(0.0, |c| c.1)
    }

    /// The polyline to draw between `from` and `to`, with both corners of every jump.
    pub fn polyline(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let mut height = self.value(from);
        let mut line = vec![(from, height)];
        for &(x, share) in self.corners.iter().filter(|c| c.0 > from && c.0 <= to) {
            line.extend([(x, height), (x, share)]);
            height = share;
        }
        line.push((to, height));
        line
    }
}

/// One profile per solver from `costs[problem][solver]`; a cost that is not finite or not positive counts as a failure.
/// The abscissa is the ratio to the best solver, at least 1. Problems that nobody solved stay in the denominator.
pub fn performance_profile(costs: &[Vec<f64>]) -> Vec<Staircase> {
    let usable = |t: f64| t.is_finite() && t > 0.0;
    let solvers = costs.iter().map(Vec::len).max().unwrap_or(0);
    (0..solvers)
        .map(|s| {
            let ratios = costs.iter().filter_map(|row| {
                let own = row.get(s).copied().filter(|t| usable(*t))?;
                let best = row.iter().copied().filter(|t| usable(*t)).fold(f64::INFINITY, f64::min);
                Some(own / best)
            });
            Staircase::distribution(ratios, costs.len())
        })
        .collect()
}

/// The history of one solver on one problem: work done (in gradient equivalents) and the cost reached there.
pub type History = Vec<(f64, f64)>;

/// The least work after which the history is below `lowest + tolerance (first − lowest)`; `+∞` if it never is.
pub fn work_to_reach(history: &[(f64, f64)], first: f64, lowest: f64, tolerance: f64) -> f64 {
    // With f₀ = f_L the start is already the answer.
    let target = lowest + tolerance * (first - lowest).max(0.0);
    history.iter().find(|(_, cost)| *cost <= target).map_or(f64::INFINITY, |(work, _)| *work)
}

/// One problem of a data profile.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    /// Number of variables.
    pub n: usize,
    /// Cost at the start.
    pub first: f64,
    /// The lowest known cost: the known minimum, or the best that any solver reached.
    pub lowest: f64,
    /// One history per solver.
    pub solvers: Vec<History>,
}

/// One profile per solver at accuracy `tolerance`; the abscissa is the work divided by `n + 1`.
pub fn data_profile(problems: &[Histories], tolerance: f64) -> Vec<Staircase> {
    let solvers = problems.iter().map(|p| p.solvers.len()).max().unwrap_or(0);
    (0..solvers)
        .map(|s| {
            let budgets = problems.iter().filter_map(|p| {
                let work = work_to_reach(p.solvers.get(s)?, p.first, p.lowest, tolerance);
                Some(work / (p.n + 1) as f64)
            });
            Staircase::distribution(budgets, problems.len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: f64 = f64::INFINITY;

    #[test]
    fn performance_profile_of_a_hand_made_table_has_its_published_shape() {
        // Solver 0 wins problem 0 and fails problem 2; solver 1 wins problem 1 by 4; nobody solves problem 3.
        let costs = [vec![1.0, 2.0], vec![8.0, 2.0], vec![f64::NAN, 5.0], vec![FAILED, FAILED]].map(|row| row.to_vec()).to_vec();
        let profiles = performance_profile(&costs);
        assert_eq!(profiles[0].corners, [(1.0, 0.25), (4.0, 0.5)]);
        assert_eq!(profiles[1].corners, [(1.0, 0.5), (2.0, 0.75)]);
        assert_eq!(profiles[0].value(3.999), 0.25);
        assert_eq!(profiles[0].value(4.0), 0.5);
        assert_eq!(profiles[1].value(0.5), 0.0);
        assert_eq!(profiles[1].limit(), 0.75);
    }

    #[test]
    fn performance_profile_does_not_depend_on_the_unit_of_cost() {
        let costs = vec![vec![3.0, 7.0, 21.0], vec![4.0, 2.0, FAILED]];
        let scaled: Vec<Vec<f64>> = costs.iter().map(|r| r.iter().map(|t| t * 1024.0).collect()).collect();
        assert_eq!(performance_profile(&costs), performance_profile(&scaled));
    }

    #[test]
    fn performance_profile_of_nothing_is_empty() {
        assert!(performance_profile(&[]).is_empty());
        assert_eq!(performance_profile(&[vec![0.0, -1.0]]), vec![Staircase::default(); 2]);
    }

    #[test]
    fn data_profile_counts_problems_below_the_target_per_simplex_gradient() {
        // f₀ = 100, f_L = 0: τ = 1e-1 asks for 10, τ = 1e-3 for 0.1.
        let easy = Histories {
            n: 1,
            first: 100.0,
            lowest: 0.0,
            solvers: vec![vec![(1.0, 100.0), (4.0, 10.0), (10.0, 0.05)], vec![(1.0, 100.0), (2.0, 0.0)]],
        };
        let hard = Histories { n: 9, first: 100.0, lowest: 0.0, solvers: vec![vec![(50.0, 9.0)], vec![(1.0, 99.0)]] };
        let problems = [easy, hard];
        let coarse = data_profile(&problems, 1e-1);
        assert_eq!(coarse[0].corners, [(2.0, 0.5), (5.0, 1.0)]);
        assert_eq!(coarse[1].corners, [(1.0, 0.5)]);
        let fine = data_profile(&problems, 1e-3);
        assert_eq!(fine[0].corners, [(5.0, 0.5)]);
        assert_eq!(fine[1].corners, [(1.0, 0.5)]);
    }

    #[test]
    fn data_profile_never_counts_a_nan_history() {
        let problem = Histories { n: 2, first: 1.0, lowest: 0.0, solvers: vec![vec![(1.0, f64::NAN)], vec![]] };
        assert_eq!(data_profile(&[problem], 1e-1), vec![Staircase::default(); 2]);
    }

    #[test]
    fn work_to_reach_a_start_that_is_the_minimum_is_the_first_evaluation() {
        assert_eq!(work_to_reach(&[(2.0, 5.0), (3.0, 5.0)], 5.0, 5.0, 1e-7), 2.0);
    }

    #[test]
    fn polyline_has_both_corners_of_every_jump_inside_the_range() {
        let stairs = Staircase::distribution([1.0, 2.0, 2.0, 50.0], 4);
        assert_eq!(stairs.polyline(1.0, 10.0), [(1.0, 0.25), (2.0, 0.25), (2.0, 0.75), (10.0, 0.75)]);
    }
}
