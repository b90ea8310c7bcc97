"""TensorFlow Datasets builders for real data sets kept in manual_dir."""
