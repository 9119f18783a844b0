"""Response curves of all channels at once, partially pooled: posterior mode and Laplace draws.

For channel c in period t, with spend s and new customers n:

    n_ct ~ NB2(mu_ct, phi)
    mu_ct = (base_c + exp(A_c) g(s_ct / s0_c; eta_c)) exp(X_t beta)
    eta_c ~ N(m, tau^2), tau = 0.8;  m ~ N(0, 0.6^2);  log phi ~ N(3, 1.5^2);  beta_i ~ N(0, sd_i^2)

g is one of ``shapes.py``; for the power curve eta is the logit of the elasticity. tau is fixed: a
joint mode shrinks it, and intervals with it, far below their nominal coverage. A_c is flat; a
channel that won nobody is taken to have won half a customer, so that it has a mode. A lift test
adds one Normal term on the customers that extra spend brought.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize
from scipy.special import digamma, gammaln, polygamma
from threadpoolctl import threadpool_limits

from clv.decide.response.panel import Panel
from clv.decide.response.shapes import Shape
from clv.errors import FitError
from clv.schema import Floats

TAU = 0.8
M_SD = 0.6
LOG_PHI = (3.0, 1.5)


@dataclass(frozen=True)
class Unknowns:
    """All parameters; with a leading axis for draws, or without."""

    A: Floats
    eta: Floats
    m: Floats
    log_phi: Floats
    beta: Floats

    @classmethod
    def from_vector(cls, theta: Floats, channels: int) -> Unknowns:
        """Cut the vector (A, eta, m, log phi, beta) along its last axis."""
        A, eta = theta[..., :channels], theta[..., channels : 2 * channels]
        rest = theta[..., 2 * channels :]
        return cls(A, eta, rest[..., 0], rest[..., 1], rest[..., 2:])


@dataclass(frozen=True)
class PanelCells:
    """What the likelihood needs at one theta: arrays of shape (channels, periods), 0 in the gaps.

    With L = log mu and h = A + log g: ``share`` is dL/dh, ``slope`` dh/deta, ``bend`` its slope;
    ``score`` the derivative of the log-likelihood by L, ``weight`` minus its second derivative.
    """

    n: Floats
    mu: Floats
    phi: float
    share: Floats
    slope: Floats
    bend: Floats
    score: Floats
    weight: Floats


@dataclass(frozen=True)
class Posterior:
    """The log-posterior of ``panel`` under one shape, with its gradient and curvature."""

    panel: Panel
    shape: Shape

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.panel.usual)

    def unknowns(self, theta: Floats) -> Unknowns:
        """The parameters in the vector theta, or in rows of draws."""
        return Unknowns.from_vector(theta, self.channels)

    def expected(self, point: Unknowns) -> Floats:
        """mu, of shape (channels, periods), before it the shape of the draws if there are any."""
        growth, _ = self.shape.growth(self.panel.log_u, point.eta[..., None])
        curve = np.exp(point.A[..., None] + growth)
        time = np.exp(point.beta @ self.panel.time.T)[..., None, :]
        return np.asarray((self.panel.base[:, None] + curve) * time)

    def loss(self, theta: Floats) -> tuple[float, Floats]:
        """Minus the log-posterior (up to a constant), and its gradient."""
        point, p = self.unknowns(theta), self.panel
        mu, phi = self.expected(point)[p.observed], np.exp(point.log_phi)
        gap = [(point.eta - point.m) / TAU, point.beta / p.time_sd, self._lifts(point)[0]]
        gap += [np.array([point.m / M_SD, (point.log_phi - LOG_PHI[0]) / LOG_PHI[1]])]
        squares = sum(float(part @ part) for part in gap)
        likelihood = log_nb2(p.customers[p.observed], mu, phi).sum() + p.extra @ point.A
        return float(squares / 2 - likelihood), -self._gradient(point)

    def _gradient(self, point: Unknowns) -> Floats:
        p, cells = self.panel, self._cells(point)
        paid = cells.score * cells.share
        away = (point.eta - point.m) / TAU**2
        miss, by_A, by_eta = self._lifts(point)
        by_phi = cells.phi * _by_phi(cells)[p.observed].sum()
        return np.concatenate(
            [
                paid.sum(axis=1) + p.extra + self._by_channel(miss * by_A),
                (paid * cells.slope).sum(axis=1) - away + self._by_channel(miss * by_eta),
                [
                    away.sum() - point.m / M_SD**2,
                    by_phi - (point.log_phi - LOG_PHI[0]) / LOG_PHI[1] ** 2,
                ],
                cells.score.sum(axis=0) @ p.time - point.beta / p.time_sd**2,
            ]
        )

    def curvature(self, theta: Floats) -> Floats:
        """The Hessian of the loss (of lift tests its Gauss-Newton part).

        Channels meet only in m, phi and the time effects, so it is a few diagonals and blocks.
        """
        point, p, C = self.unknowns(theta), self.panel, self.channels
        cells = self._cells(point)
        A, eta, m, phi = np.arange(C), np.arange(C, 2 * C), 2 * C, 2 * C + 1
        beta = slice(2 * C + 2, None)
        H = np.zeros((len(theta), len(theta)))
        H[A, A], H[A, eta], H[eta, eta] = self._of_channels(point, cells)
        H[eta, eta] += 1 / TAU**2
        H[eta, m] = -1 / TAU**2
        H[m, m] = C / TAU**2 + 1 / M_SD**2
        paid, by_phi = cells.weight * cells.share, -cells.score * cells.mu / (cells.mu + cells.phi)
        H[A, beta], H[eta, beta] = paid @ p.time, (paid * cells.slope) @ p.time
        H[A, phi] = (by_phi * cells.share).sum(axis=1)
        H[eta, phi] = (by_phi * cells.share * cells.slope).sum(axis=1)
        H[phi, phi] = 1 / LOG_PHI[1] ** 2 - _twice_by_phi(cells)[p.observed].sum()
        H[phi, beta] = by_phi.sum(axis=0) @ p.time
        H[beta, beta] = p.time.T @ (cells.weight.sum(axis=0)[:, None] * p.time)
        H[beta, beta] += np.diag(p.time_sd**-2.0)
        # Filled above the diagonal alone.
        return np.triu(H) + np.triu(H, 1).T

    def _cells(self, point: Unknowns) -> PanelCells:
        p, phi = self.panel, float(np.exp(point.log_phi))
        growth, slope = self.shape.growth(p.log_u, point.eta[:, None])
        curve = np.exp(point.A[:, None] + growth)
        n, mu = p.customers, self.expected(point)
        return PanelCells(
            n=n,
            mu=mu,
            phi=phi,
            share=curve / (p.base[:, None] + curve),
            slope=slope,
            bend=self.shape.bend(p.log_u, point.eta[:, None]),
            score=np.where(p.observed, phi * (n - mu) / (mu + phi), 0.0),
            weight=np.where(p.observed, (n + phi) * mu * phi / (mu + phi) ** 2, 0.0),
        )

    def _of_channels(self, point: Unknowns, cells: PanelCells) -> tuple[Floats, Floats, Floats]:
        """Minus the second derivatives by A, by A and eta, and by eta, of each channel."""
        _, by_A, by_eta = self._lifts(point)
        paid = cells.score * cells.share
        by_h = cells.weight * cells.share**2 - paid * (1 - cells.share)
        return (
            by_h.sum(axis=1) + self._by_channel(by_A**2),
            (by_h * cells.slope).sum(axis=1) + self._by_channel(by_A * by_eta),
            (by_h * cells.slope**2 - paid * cells.bend).sum(axis=1) + self._by_channel(by_eta**2),
        )

    def _lifts(self, point: Unknowns) -> tuple[Floats, Floats, Floats]:
        """Per lift test, in standard errors: gain less the curve's, and its slopes by A and eta."""
        lifts = self.panel.lifts
        A, eta = point.A[lifts.channel], point.eta[lifts.channel]
        before, slope_before = self.shape.growth(lifts.log_before, eta)
        after, slope_after = self.shape.growth(lifts.log_after, eta)
        n_before, n_after = np.exp(A + before), np.exp(A + after)
        gain, by_eta = n_after - n_before, n_after * slope_after - n_before * slope_before
        return (lifts.gain - gain) / lifts.error, gain / lifts.error, by_eta / lifts.error

    def _by_channel(self, values: Floats) -> Floats:
        return np.asarray(
            np.bincount(self.panel.lifts.channel, values, self.channels), dtype=np.float64
        )


@dataclass(frozen=True)
class Fitted:
    """The posterior's mode, and the normal around it (Laplace's approximation).

    With a few tens of periods the exact posterior of an elasticity is up to a tenth wider.
    """

    posterior: Posterior
    theta: Floats
    precision: Floats

    @property
    def mode(self) -> Unknowns:
        """The parameters at the mode."""
        return self.posterior.unknowns(self.theta)

    def draws(self, count: int, rng: np.random.Generator) -> Unknowns:
        """``count`` draws of all parameters together."""
        lower = np.linalg.cholesky(self.precision)
        z = rng.standard_normal((len(self.theta), count))
        away = linalg.solve_triangular(lower.T, z, lower=False)
        return self.posterior.unknowns(self.theta + away.T)

    def own_evidence(self) -> Floats:
        """Share of what is known of each eta, given m, that the channel's own data say: 0 to 1."""
        C, H = self.posterior.channels, self.precision
        A, eta = np.arange(C), np.arange(C, 2 * C)
        precision = np.maximum(H[eta, eta] - H[A, eta] ** 2 / H[A, A], TAU**-2)
        return 1 - TAU**-2 / precision


def fit(panel: Panel, shape: Shape) -> Fitted:
    """The posterior's mode: a trust-region Newton search, and one last full Newton step.

    Raises
    ------
    FitError
        The search ended where the posterior has no maximum.
    """
    posterior = Posterior(panel, shape)
    with threadpool_limits(1, "blas"):  # small matrices: threads would only wait for each other
        theta = _mode(posterior)
        if theta is None:
            raise FitError(
                f"the search for response curves ({shape.name}) did not end at a maximum.",
                hint="look for a period whose spend or customers are wrong by orders of magnitude.",
            )
        theta = theta + _freedom(posterior, theta)
        return Fitted(posterior, theta, posterior.curvature(theta))


def _mode(posterior: Posterior) -> Floats | None:
    """Where the gradient vanishes and the loss is convex; None if the search ends elsewhere."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            optimum = optimize.minimize(
                posterior.loss,
                _start(posterior.panel),
                jac=True,
                hess=posterior.curvature,
                method="trust-exact",
                options={"gtol": 1e-3, "maxiter": 500},
            ).x
        # One Newton step to the last digit; a Hessian that has no Cholesky root is no maximum.
        theta = optimum - np.linalg.solve(posterior.curvature(optimum), posterior.loss(optimum)[1])
        lower = np.linalg.cholesky(posterior.curvature(theta))
    except (ValueError, np.linalg.LinAlgError):  # SciPy's word for values without bounds
        return None
    short = linalg.solve_triangular(lower, posterior.loss(theta)[1], lower=True)
    # Half the Newton decrement: how much higher the maximum still is.
    missed = float(short @ short) / 2  # of the log-posterior
    return np.asarray(theta) if missed < 1e-6 else None


def _freedom(posterior: Posterior, theta: Floats) -> Floats:
    """From the mode towards the posterior mean, for log phi and what depends on it.

    The mode takes phi as if the curves were known: 12 weeks and 2 parameters a channel make the
    noise too small, as a variance with n in place of n - 2 is. To first order the mean is off the
    mode by minus half of H^-1 times the gradient of log det H.
    """
    h, phi = 1e-4, 2 * posterior.channels + 1
    step = np.zeros_like(theta)
    step[phi] = h
    up, down = (np.linalg.slogdet(posterior.curvature(theta + s))[1] for s in (step, -step))
    slope = np.zeros_like(theta)
    slope[phi] = (up - down) / (2 * h)
    return np.asarray(-np.linalg.solve(posterior.curvature(theta), slope) / 2)


def _start(panel: Panel) -> Floats:
    """Each channel's mean for its level, the priors' middle for everything else."""
    periods = np.maximum(panel.observed.sum(axis=1), 1)
    mean = np.where(panel.observed, panel.customers, 0.0).sum(axis=1) / periods
    level = np.log(np.maximum(mean - panel.base, 0.1 * mean) + panel.extra / periods)
    return np.concatenate([level, 0 * level, [0.0, LOG_PHI[0]], 0 * panel.time_sd])


def log_nb2(n: Floats, mu: Floats, phi: Floats) -> Floats:
    """Log-probability of a count with mean mu and variance mu + mu^2 / phi.

    >>> round(float(np.exp(log_nb2(np.array(0.0), np.array(1.0), np.array(1.0)))), 9)
    0.5
    """
    coefficient = gammaln(n + phi) - gammaln(phi) - gammaln(n + 1)
    rare = np.where(n > 0, n, 1.0) * (np.log(mu) - np.log(mu + phi))
    return np.asarray(coefficient - phi * np.log1p(mu / phi) + np.where(n > 0, rare, 0.0))


def _by_phi(cells: PanelCells) -> Floats:
    """Derivative of the log-likelihood by phi."""
    n, mu, phi = cells.n, cells.mu, cells.phi
    return np.asarray(digamma(n + phi) - digamma(phi) - np.log1p(mu / phi) + (mu - n) / (mu + phi))


def _twice_by_phi(cells: PanelCells) -> Floats:
    """Second derivative of the log-likelihood by log phi."""
    n, mu, phi = cells.n, cells.mu, cells.phi
    again = polygamma(1, n + phi) - polygamma(1, phi) + mu / phi / (mu + phi)
    return phi * _by_phi(cells) + phi**2 * (again - (mu - n) / (mu + phi) ** 2)
