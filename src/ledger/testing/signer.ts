import { generateKeyPairSync } from 'node:crypto';
import { keyIdOf, type NoteSigner, rawPublicKey } from '../keys.ts';

/** A fresh key under a name, for tests. */
export function testSigner(name: string, algorithm: number): NoteSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { name, algorithm, keyId: keyIdOf(name, algorithm, rawPublicKey(publicKey)), publicKey, privateKey };
}
