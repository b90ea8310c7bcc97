import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.augment import intensity

KEY = jax.random.key(0)
standardise = jax.jit(intensity.standardise)


def images_hu(batch=6):
    return jnp.asarray(np.random.default_rng(0).uniform(-1200, 400, (batch, 5, 4, 1)), jnp.float32)


DRAWS = {
    "gamma": lambda batch, p: intensity.draw_gamma(KEY, batch, probability=p),
    "noise": lambda batch, p: intensity.draw_noise(KEY, (batch, 5, 4, 1), probability=p),
    "window": lambda batch, p: intensity.draw_window(KEY, batch, probability=p),
}
APPLICATIONS = {
    "gamma": jax.jit(intensity.apply_gamma),
    "noise": jax.jit(intensity.add_noise),
    "window": jax.jit(intensity.apply_window),
}


@pytest.fixture(scope="module", params=list(DRAWS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def draw(name):
    return jax.jit(DRAWS[name], static_argnums=0)


def test_unapplied_examples_come_back_bit_for_bit(name, draw):
    images, drawn = images_hu(), draw(6, 0.5)
    assert 0 < drawn.applied.sum() < 6
    same = (APPLICATIONS[name](images, drawn) == images).all((1, 2, 3))
    np.testing.assert_array_equal(same, ~drawn.applied)


def test_probability_and_independence_of_the_batch(draw):
    many, few = draw(400, 0.25), draw(6, 0.25)
    assert abs(many.applied.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)
    for part, whole in zip(few, many, strict=True):
        np.testing.assert_array_equal(part, np.asarray(whole)[:6])
    assert not draw(400, 0.0).applied.any()
    assert draw(400, 1.0).applied.all()


def test_bfloat16_images_stay_bfloat16(name, draw):
    images = images_hu().astype(jnp.bfloat16)
    assert jax.eval_shape(APPLICATIONS[name], images, draw(6, 1.0)).dtype == jnp.bfloat16


def test_log_gamma_is_normal():
    logs = np.log(jax.jit(DRAWS["gamma"], static_argnums=0)(2000, 0.5).gamma)
    assert abs(logs.mean()) < 4 * 0.2 / np.sqrt(2000)
    np.testing.assert_allclose(logs.std(), 0.2, rtol=4 / np.sqrt(2 * 2000))


def test_gamma_by_hand_keeps_the_extremes():
    images = jnp.array([[0.0, 1.0, 4.0], [-1000.0, -500.0, 0.0]])
    draw = intensity.GammaDraw(jnp.array([0.5, 2.0]), jnp.array([True, True]))
    np.testing.assert_allclose(APPLICATIONS["gamma"](images, draw), [[0, 2, 4], [-1000, -750, 0]], atol=1e-4)


def test_gamma_leaves_constant_images():
    images = jnp.full((2, 3, 3), -0.0).at[1].set(-1024.0)
    draw = intensity.GammaDraw(jnp.array([0.7, 1.3]), jnp.array([True, True]))
    result = np.asarray(APPLICATIONS["gamma"](images, draw))
    assert result.tobytes() == np.asarray(images).tobytes()


def test_inverse_gamma_undoes_gamma():
    images = images_hu(2)
    gamma, applied = jnp.array([0.8, 1.5]), jnp.array([True, True])
    there = APPLICATIONS["gamma"](images, intensity.GammaDraw(gamma, applied))
    back = APPLICATIONS["gamma"](there, intensity.GammaDraw(1 / gamma, applied))
    np.testing.assert_allclose(back, images, atol=0.01)


def test_noise_has_the_standard_deviation_and_differs_between_examples():
    draw = jax.jit(lambda: intensity.draw_noise(KEY, (2, 100, 100), probability=1.0, std=0.1))()
    noise = np.asarray(draw.noise).reshape(2, -1)
    np.testing.assert_allclose(noise.std(1), 0.1, rtol=0.03)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.05
    images = jnp.full((2, 100, 100), 0.5)
    np.testing.assert_array_equal(intensity.add_noise(images, draw), images + draw.noise)


def test_windows_lie_in_their_ranges_and_fill_them():
    draw = jax.tree.map(np.asarray, jax.jit(DRAWS["window"], static_argnums=0)(400, 1.0))
    for values, low, high in [(draw.centre_hu, -700, -500), (draw.width_hu, 1300, 1700)]:
        margin = 0.05 * (high - low)
        assert low <= values.min() < low + margin and high - margin < values.max() <= high
    assert abs(np.corrcoef(draw.centre_hu, draw.width_hu)[0, 1]) < 0.2


def test_window_clips():
    images = jnp.array([[-2000.0, -600.0, 500.0], [-2000.0, -600.0, 500.0]])
    draw = intensity.WindowDraw(jnp.full(2, -600.0), jnp.full(2, 1500.0), jnp.array([True, False]))
    wanted = [[-1350, -600, 150], [-2000, -600, 500]]
    np.testing.assert_array_equal(intensity.apply_window(images, draw), wanted)


def test_window_to_unit():
    images = jnp.array([-3000.0, -1350.0, -600.0, 150.0, 3000.0])
    np.testing.assert_array_equal(intensity.window_to_unit(images, -1350.0, 150.0), [0, 0, 0.5, 1, 1])


def test_window_to_unit_never_exceeds_one():
    for upper in np.random.default_rng(0).uniform(0, 500, 20).tolist():
        assert intensity.window_to_unit(jnp.full((1,), 1e4), -1350.1, upper)[0] == 1


def test_window_to_unit_refuses_an_empty_window():
    with pytest.raises(ValueError, match="upper"):
        intensity.window_to_unit(jnp.zeros(2), 1.0, 1.0)


def test_standardise():
    result = np.asarray(standardise(images_hu()))
    np.testing.assert_allclose(result.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(result.std((1, 2, 3)), 1, rtol=1e-5)
    by_hand = standardise(jnp.array([[1.0, 3.0]]))
    np.testing.assert_array_equal(by_hand, [[-1, 1]])


def test_standardise_is_invariant_to_scale_and_offset():
    images = images_hu()
    np.testing.assert_allclose(standardise(3 * images + 7), standardise(images), atol=1e-5)


def test_standardised_constants_are_zero():
    # The float32 mean of many equal values need not be that value.
    images = jnp.stack([jnp.full((63, 61), -1000.1), jnp.full((63, 61), 0.1), jnp.zeros((63, 61))])
    np.testing.assert_array_equal(standardise(images), np.zeros((3, 63, 61)))


def test_gamma_is_finite_where_compilation_rounds_the_minimum_differently():
    """Fused with the scaling before it, the recomputed pixels may lie below their own minimum."""
    values = np.random.default_rng(0).integers(-1000, 300, (8, 48, 48)).astype(np.float32)

    @jax.jit
    def scale_and_change(images_hu, key):
        unit = intensity.window_to_unit(images_hu, -1350.0, 150.0)
        return intensity.apply_gamma(unit, intensity.draw_gamma(key, 8, probability=1.0))

    assert np.isfinite(scale_and_change(values, jax.random.key(1))).all()


def test_normalises_by_the_numbers_of_each_image_or_of_all():
    images = jnp.array([[-200, 0, 90], [50, 100, 300]], jnp.int16)
    each = jnp.array([[-100.0, 80.0, 10.0, 20.0], [60.0, 200.0, 100.0, 50.0]])
    wanted = [[-5.5, -0.5, 3.5], [-0.8, 0.0, 2.0]]
    np.testing.assert_allclose(intensity.normalise_by(images, each), wanted, rtol=1e-6)
    np.testing.assert_allclose(intensity.normalise_by(images[:1], each[:1]), wanted[:1], rtol=1e-6)


def test_contrast_and_brightness_are_one_line_per_image():
    images = jnp.asarray(np.random.default_rng(1).normal(size=(200, 4, 3)), jnp.float32)
    draw = intensity.draw_linear(KEY, 200, max_contrast=0.2, max_brightness=0.5)
    assert 0.8 <= draw.factor.min() < 0.85 and 1.15 < draw.factor.max() <= 1.2
    assert -0.5 <= draw.shift.min() < -0.4 and 0.4 < draw.shift.max() <= 0.5
    wanted = (
        np.asarray(images) * np.asarray(draw.factor)[:, None, None] + np.asarray(draw.shift)[:, None, None]
    )
    np.testing.assert_allclose(intensity.apply_linear(images, draw), wanted, atol=1e-6)
