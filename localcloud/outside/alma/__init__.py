"""A stand-in for Ex Libris Alma: Analytics reports and records, from files that a person can edit."""
