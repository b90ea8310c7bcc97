"""Sizes of the four plans, by shapes alone."""

import jax
import jax.numpy as jnp
import pytest

from jaxmed.models import gan_plans

PLANS = {
    "DCGAN": (gan_plans.DCGAN, 2_842_113, 4_316_161),
    "LSGAN": (gan_plans.LSGAN, 9_289_729, 4_316_161),
    "WGAN-GP": (gan_plans.WGAN_GP, 1_661_441, 1_084_288),
    "AC-GAN": (gan_plans.AC_GAN, 13_234_433, 1_726_083),
}


def shapes(plan, size):
    """Of the generated images and of the discriminator's outputs, and both numbers of parameters."""
    inputs = (jnp.zeros((2, plan.num_latents)), *((jnp.zeros(2, jnp.int32),) if plan.is_told else ()))

    def both(key):
        images, of_generator = plan.make_generator(2).init_with_output(key, *inputs, train=False)
        outputs, of_discriminator = plan.make_discriminator(2).init_with_output(key, images, train=False)
        return images, outputs, of_generator["params"], of_discriminator["params"]

    images, outputs, *params = jax.eval_shape(both, jax.random.key(0))
    counts = [sum(leaf.size for leaf in jax.tree.leaves(one)) for one in params]
    return images.shape, jax.tree.map(lambda x: x.shape, outputs), counts


@pytest.mark.parametrize("name", PLANS)
def test_plans_have_their_parameters_at_80_pixels(name):
    plan, *wanted = PLANS[name]
    images, outputs, counts = shapes(plan, 80)
    assert images == (2, 80, 80, 1)
    assert outputs == (((2, 1), (2, 2)) if name == "AC-GAN" else (2, 1))
    assert counts == wanted


@pytest.mark.parametrize("size", [20, 40])
@pytest.mark.parametrize("name", PLANS)
def test_reduced_plans_make_smaller_images(name, size):
    plan = PLANS[name][0].reduce(size, 16)
    images, _, counts = shapes(plan, size)
    assert images == (2, size, size, 1)
    assert max(counts) < min(PLANS[name][1:]) / 4


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="size: 64 pixels"):
        gan_plans.DCGAN.reduce(64, 1)
