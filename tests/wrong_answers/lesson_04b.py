"""Wrong answers to the exercises of lesson 04b, each with a part of the hint that it must get."""

import math

import torch


def bound_elbo(log_joint, log_q):
    return (log_joint - log_q).mean(0)


def bound_sum(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log(1)


def bound_added(log_joint, log_q):
    return (log_joint + log_q).logsumexp(0) - math.log(len(log_q))


def bound_no_log_space(log_joint, log_q):
    return (log_joint.exp() / log_q.exp()).mean(0).log()


def bound_over_images(log_joint, log_q):
    return (log_joint - log_q).logsumexp(1) - math.log(log_q.shape[1])


def bound_turned(log_joint, log_q):
    return (log_q - log_joint).logsumexp(0) - math.log(len(log_q))


def bound_without_q(log_joint, log_q):
    return log_joint.logsumexp(0) - math.log(len(log_q))


def bound_of_ratios(log_joint, log_q):
    return log_joint.logsumexp(0) - log_q.logsumexp(0)


def bound_by_images(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log(log_q.shape[1])


def bound_log_added(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) + math.log(len(log_q))


def bound_divided_outside(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) / len(log_q)


def bound_negative(log_joint, log_q):
    return math.log(len(log_q)) - (log_joint - log_q).logsumexp(0)


def bound_of_the_best(log_joint, log_q):
    return (log_joint - log_q).max(0).values


def bound_global_maximum(log_joint, log_q):
    w = log_joint - log_q
    return (w - w.max()).exp().mean(0).log() + w.max()


def bound_by_the_smallest(log_joint, log_q):
    w = log_joint - log_q
    return (w - w.amin(0)).exp().mean(0).log() + w.amin(0)


def bound_log2(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log2(len(log_q))


def bound_clamped(log_joint, log_q):
    return (log_joint - log_q).clamp(min=-700).logsumexp(0) - math.log(len(log_q))


def naive_stable(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log(len(log_q))


def naive_elbo(log_joint, log_q):
    return (log_joint - log_q).mean(0)


def naive_sum(log_joint, log_q):
    return (log_joint - log_q).exp().sum(0).log()


def naive_with_an_epsilon(log_joint, log_q):
    return ((log_joint - log_q).exp() + 1e-30).mean(0).log()


def naive_in_double(log_joint, log_q):
    return (log_joint.double() - log_q.double()).exp().mean(0).log()


def naive_of_ratios(log_joint, log_q):
    return (log_joint.exp().mean(0) / log_q.exp().mean(0)).log()


def naive_over_images(log_joint, log_q):
    return (log_joint - log_q).exp().mean(1).log()


def naive_turned(log_joint, log_q):
    return (log_q - log_joint).exp().mean(0).log()


def naive_without_log(log_joint, log_q):
    return (log_joint - log_q).exp().mean(0)


def naive_all_or_nothing(log_joint, log_q):
    weights = (log_joint - log_q).exp()
    return weights.mean(0).log() if (weights > 0).all() else torch.full_like(log_q[0], -math.inf)


def free_rebate(kl, free):
    return (kl.mean(0) - free).clamp(min=0).sum() if free else kl.mean(0).sum()


def free_before_mean(kl, free):
    return kl.clamp(min=free).mean(0).sum()


def free_on_sum(kl, free):
    return kl.mean(0).sum().clamp(min=free)


def free_smaller(kl, free):
    return kl.mean(0).clamp(max=free).sum() if free else kl.mean(0).sum()


def free_mean(kl, free):
    return kl.mean(0).clamp(min=free).mean()


def free_batch(kl, free):
    return kl.sum(0).clamp(min=free).sum()


def free_number(kl, free):
    return torch.tensor(kl.mean(0).clamp(min=free).sum().item(), dtype=kl.dtype)


def free_ignored(kl, free):
    return kl.mean(0).sum()


def free_half(kl, free):
    return kl.mean(0).clamp(min=0.5).sum()


def free_for_all_together(kl, free):
    return kl.mean(0).sum().clamp(min=free * kl.shape[1])


def free_added(kl, free):
    return (kl.mean(0) + free).sum()


def free_below_costs_nothing(kl, free):
    means = kl.mean(0)
    return means[means > free].sum()


def free_rebate_on_sum(kl, free):
    return kl.mean(0).sum() - len(kl[0]) * free


def free_straight_through(kl, free):
    means = kl.mean(0)
    return (means + (means.clamp(min=free) - means).detach()).sum()


def free_in_double(kl, free):
    return kl.double().mean(0).clamp(min=free).sum()


def free_axes_mixed(kl, free):
    return kl.mean(1).clamp(min=free).sum()


def guess_per_cent():
    return 40


def guess_below():
    return -0.2


def guess_words():
    return "a third"


def guess_infinite():
    return math.nan


def guess_yes():
    return True


def accept_unbounded(joint_new, q_new, joint_old, q_old):
    return (joint_new - q_new) - (joint_old - q_old)


def accept_chance(joint_new, q_new, joint_old, q_old):
    return ((joint_new - q_new) - (joint_old - q_old)).exp().clamp(max=1)


def accept_upside_down(joint_new, q_new, joint_old, q_old):
    return ((joint_old - q_old) - (joint_new - q_new)).clamp(max=0)


def accept_without_q(joint_new, q_new, joint_old, q_old):
    return (joint_new - joint_old).clamp(max=0)


def accept_sign(joint_new, q_new, joint_old, q_old):
    return ((joint_new + q_new) - (joint_old + q_old)).clamp(max=0)


def accept_maximum(joint_new, q_new, joint_old, q_old):
    return ((joint_new - q_new) - (joint_old - q_old)).clamp(min=0)


def accept_absolute(joint_new, q_new, joint_old, q_old):
    return -((joint_new - q_new) - (joint_old - q_old)).abs()


def accept_limit_one(joint_new, q_new, joint_old, q_old):
    return ((joint_new - q_new) - (joint_old - q_old)).clamp(max=1)


def accept_barker(joint_new, q_new, joint_old, q_old):
    return torch.nn.functional.logsigmoid((joint_new - q_new) - (joint_old - q_old))


def accept_new_alone(joint_new, q_new, joint_old, q_old):
    return (joint_new - q_new).clamp(max=0)


def accept_proposals_alone(joint_new, q_new, joint_old, q_old):
    return (q_old - q_new).clamp(max=0)


def accept_bracket_lost(joint_new, q_new, joint_old, q_old):
    return (joint_new - q_new - joint_old - q_old).clamp(max=0)


def accept_each_limited(joint_new, q_new, joint_old, q_old):
    return (joint_new - q_new).clamp(max=0) - (joint_old - q_old).clamp(max=0)


def accept_by_densities(joint_new, q_new, joint_old, q_old):
    ratio = joint_new.exp() * q_old.exp() / (joint_old.exp() * q_new.exp())
    return ratio.clamp(max=1).log()


def accept_by_ratio(joint_new, q_new, joint_old, q_old):
    return ((joint_new - q_new) - (joint_old - q_old)).exp().clamp(max=1).log()


def accept_quotient_of_logarithms(joint_new, q_new, joint_old, q_old):
    return ((joint_new - q_new) / (joint_old - q_old)).clamp(max=0)


def accept_one_number(joint_new, q_new, joint_old, q_old):
    return ((joint_new - q_new) - (joint_old - q_old)).clamp(max=0).mean()


WRONG = {
    "04b.importance": [
        (bound_elbo, "the mean of logarithms"),
        (bound_sum, "equal weights must average to one of them"),
        (bound_added, "subtract log q"),
        (bound_no_log_space, "e^-2000 are 0 in floating point"),
        (bound_over_images, "average over the draws, dim 0"),
        (bound_turned, "this is minus the bound"),
        (bound_negative, "the sign of the whole result"),
        (bound_without_q, "where is q"),
        (bound_of_ratios, "not a quotient of two means"),
        (bound_by_images, "not by the number of images"),
        (bound_log_added, "log S is subtracted, not added"),
        (bound_divided_outside, "divide by S inside the logarithm"),
        (bound_of_the_best, "the best draw alone"),
        (bound_global_maximum, "the largest of EACH image"),
        (bound_by_the_smallest, "subtract the LARGEST of them"),
        (bound_log2, "not math.log2"),
        (bound_clamped, "no clamp"),
    ],
    "04b.naive": [
        (naive_stable, "it survives weights"),
        (naive_elbo, "which cannot underflow"),
        (naive_sum, "the SUM of the weights"),
        (naive_with_an_epsilon, "a small number added"),
        (naive_in_double, "yours survive, so you compute in double"),
        (naive_of_ratios, "not a quotient of two means"),
        (naive_over_images, "average over the draws, dim 0"),
        (naive_turned, "this is minus the bound"),
        (naive_without_log, "take the logarithm at the end"),
        (naive_all_or_nothing, "must not change the others"),
    ],
    "04b.free_bits": [
        (free_rebate, "not a rebate"),
        (free_before_mean, "BEFORE the limit"),
        (free_on_sum, "not for their sum"),
        (free_smaller, "the smaller of limit and KL"),
        (free_mean, "a hidden β of 1/k"),
        (free_batch, "average over the batch"),
        (free_number, "no gradient passes"),
        (free_ignored, "where is the limit"),
        (free_for_all_together, "not for all together"),
        (free_half, "use the argument"),
        (free_added, "the limit is not added"),
        (free_below_costs_nothing, "still pays the limit"),
        (free_rebate_on_sum, "for all latents together"),
        (free_straight_through, "below the limit the gradient is 0"),
        (free_in_double, "float64 comes out"),
        (free_axes_mixed, "not the other way round"),
    ],
    "04b.guess": [
        (guess_per_cent, "not in per cent"),
        (guess_below, "lies between 0 and 1"),
        (guess_words, "return a number, for instance 0.5; yours is a str"),
        (guess_yes, "yours is a bool"),
        (guess_infinite, "a finite number"),
    ],
    "04b.accept": [
        (accept_unbounded, "at most 1"),
        (accept_chance, "the logarithm of the chance"),
        (accept_upside_down, "upside down"),
        (accept_without_q, "densities of the proposal"),
        (accept_sign, "a sign is turned"),
        (accept_maximum, "not the larger"),
        (accept_absolute, "not the sign turned"),
        (accept_limit_one, "limit the LOGARITHM by 0"),
        (accept_barker, "another rule (Barker's)"),
        (accept_new_alone, "divide by the weight of the old z"),
        (accept_proposals_alone, "where is p(x, z)"),
        (accept_bracket_lost, "inside its bracket"),
        (accept_each_limited, "comes after new minus old"),
        (accept_by_densities, "their exponentials are 0"),
        (accept_by_ratio, "take no exponential"),
        (accept_quotient_of_logarithms, "not their quotient"),
        (accept_one_number, "one value for each chain"),
    ],
}
