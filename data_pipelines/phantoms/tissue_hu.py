"""CT numbers of tissues at 120 kV without contrast medium, in HU: middles of the usual clinical ranges."""

AIR_HU = -1000.0
FAT_HU = -100.0
SKIN_HU = 20.0
MUSCLE_HU = 50.0
BLOOD_HU = 42.0
LIVER_HU = 58.0
OESOPHAGUS_HU = 30.0
AIRWAY_WALL_HU = 0.0
CORTEX_HU = 700.0
MARROW_HU = 180.0
CARTILAGE_HU = 110.0
DISC_HU = 85.0
CANAL_HU = 20.0
TABLE_SHELL_HU = -250.0
TABLE_FOAM_HU = -950.0

PARENCHYMA_HU = (-890.0, -850.0)
"""Anterior lung at full inspiration, range between subjects."""
GRAVITY_HU = (30.0, 80.0)
"""How much denser the posterior lung of a supine subject is."""
GROUND_GLASS_HU = (-700.0, -400.0)
"""Denser than lung, with vessels still visible in it."""
CONSOLIDATION_HU = (-100.0, 50.0)
"""Alveoli filled: near soft tissue, vessels no longer visible."""

SOFT_TEXTURE_HU = 7.0
"""Standard deviation of soft tissue at scales of 8 mm."""
LUNG_TEXTURE_HU = (22.0, 8.0)
"""Standard deviations of lung at scales of 8 mm (acini, vessels too small to draw) and 18 mm (lobules)."""
