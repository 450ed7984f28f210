//! Supernodal factors that are large enough for several threads.

use super::*;

/// Large enough for several tasks, and for fronts that are shared.
fn large_supernodal() -> Vec<(&'static str, SparseMatrix)> {
    vec![("grid", grid(150, 4)), ("scattered", scattered(700, 6000, 5)), ("cells", scattered(3000, 4000, 6))]
}

#[test]
fn large_supernodal_factors_solve_and_show_negative_curvature() {
    for (name, b) in large_supernodal() {
        let n = b.dim();
        let mut cholesky = ShiftedCholesky::default();
        cholesky.load(&b).unwrap();
        assert_eq!(cholesky.kernel_name(), "Supernodal", "{name}");
        let shift = 0.5 - cholesky.norms().gershgorin_lower;
        cholesky.factor(shift).unwrap();
        let rhs = random(8, n);
        let (mut x, mut w, mut product) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        cholesky.solve(&rhs, &mut x);
        cholesky.half_solve(&rhs, &mut w);
        b.apply(&x, &mut product).unwrap();
        for i in 0..n {
            let r = product[i] + shift * x[i] - rhs[i];
            assert!(r.abs() <= 1e-13 * (1.0 + shift) * norm(&x), "{name}: residual {r}");
        }
        assert!((dot(&w, &w) - dot(&rhs, &x)).abs() <= 1e-13 * dot(&w, &w), "{name}");
        // Failures low in the tree, high in it, and at once.
        for part in [0.0, 0.1, 0.2, 0.3, 0.4] {
            let shift = part * shift;
            let Err(failure) = cholesky.factor(shift) else { continue };
            assert!(cholesky.negative_curvature(&mut x), "{name}");
            assert_eq!(x[failure.pivot], 1.0);
            b.apply(&x, &mut product).unwrap();
            let square = dot(&x, &x);
            let value = dot(&x, &product) + shift * square;
            assert!((value + failure.deficit).abs() <= 1e-12 * square * (1.0 + shift), "{name}: {value} {}", failure.deficit);
        }
        assert!(cholesky.factor(0.0).is_err());
    }
}

#[test]
fn supernodal_results_are_the_same_bits_on_any_number_of_threads() {
    for (name, b) in large_supernodal() {
        let rhs = random(8, b.dim());
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut cholesky = ShiftedCholesky::default();
                let (mut x, mut w) = (vec![0.0; rhs.len()], vec![0.0; rhs.len()]);
                cholesky.load(&b).unwrap();
                let failure = cholesky.factor(0.0).unwrap_err();
                cholesky.factor(30.0).unwrap();
                cholesky.solve(&rhs, &mut x);
                cholesky.half_solve(&rhs, &mut w);
                (failure, x, w)
            })
        };
        assert!(on(1) == on(3), "{name}");
    }
}
