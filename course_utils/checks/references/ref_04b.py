"""Reference functions of lesson 04b, generated from lessons/04b_a_real_number.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math


def importance_bound(log_joint, log_q):
    """log (1/S) Σ_s p(x, z_s) / q(z_s | x), equation (1), for each image: (B,).

    log_joint = log p(x, z) and log_q = log q(z | x), both (S, B).
    """
    return (log_joint - log_q).logsumexp(0) - math.log(len(log_q))


def naive_bound(log_joint, log_q):
    """The estimate in (1) outside log-space: (S, B), (S, B) → (B,). It underflows."""
    return (log_joint - log_q).exp().mean(0).log()


def amortised_share():
    """Your guess, a number from 0 to 1: amortisation gap divided by the whole gap."""
    return 0.5


def charged_rate(kl, free):
    """The charge for the codes of a batch if each latent has `free` nats for nothing: a scalar.

    kl (B, k), the KL of each image and latent; free is a number.
    """
    return kl.mean(0).clamp(min=free).sum()


def log_acceptance(joint_new, q_new, joint_old, q_old):
    """log of the chance (2) to move from the old z to the new one: (B,).

    joint_… = log p(x, z), q_… = log q(z | x), each (B,).
    """
    return ((joint_new - q_new) - (joint_old - q_old)).clamp(max=0)


REFERENCES = {
    "04b.importance": importance_bound,
    "04b.naive": naive_bound,
    "04b.guess": amortised_share,
    "04b.free_bits": charged_rate,
    "04b.accept": log_acceptance,
}
