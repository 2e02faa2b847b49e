import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTreeHead } from './checkpoint.ts';
import { cosign, cosignedAt } from './cosignature.ts';
import { isKeyName, keyIdOf, parseVerifierKey, rawPublicKey, verifierKeyText } from './keys.ts';
import { nodesOfLeaves } from './node-source.ts';
import { isSignedBy, parseNote } from './note.ts';
import { checkConsistency, checkInclusion, consistencyProof, inclusionProof, rangeRoot } from './proof.ts';
import { testSigner } from './testing/signer.ts';
import { tileIndexPath, tilePath } from './tiles.ts';
import { EMPTY_ROOT_HEX, Frontier, toBinary, toHex } from './tree.ts';

/** The test tree of the Certificate Transparency reference implementation (RFC 6962): inputs, roots, proofs. */
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const PATH_0_OF_8 = [
  '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
];

const leafOf = (hex: string): string => toBinary(hash('sha256', Buffer.from(`00${hex}`, 'hex'), 'hex'));
const LEAVES = INPUTS.map(leafOf);

describe('RFC 6962 tree', () => {
  it('has the published roots', () => {
    expect(EMPTY_ROOT_HEX).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    const frontier = new Frontier();
    const roots = LEAVES.map((leaf) => {
      frontier.appendBinary(leaf);
      return frontier.rootHex();
    });
    expect(roots).toEqual(ROOTS);
  });

  it('has the published inclusion and consistency proofs', async () => {
    const node = nodesOfLeaves(LEAVES);
    expect((await inclusionProof(node, 0, 8)).map(toHex)).toEqual(PATH_0_OF_8);
    expect((await consistencyProof(node, 1, 8)).map(toHex)).toEqual(PATH_0_OF_8);
    expect((await consistencyProof(node, 6, 8)).map(toHex)).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
  });

  it('proves every leaf and every older size, and nothing else', async () => {
    const leaves = Array.from({ length: 40 }, (_, i) => leafOf(i.toString(16).padStart(4, '0')));
    const node = nodesOfLeaves(leaves);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.nat(39), fc.nat(39), async (size, a, b) => {
        const index = a % size;
        const root = await rangeRoot(node, 0, size);
        const proof = await inclusionProof(node, index, size);
        expect(checkInclusion(proof, index, size, leaves[index]!, root)).toBe(true);
        expect(checkInclusion(proof, index, size, leaves[(index + 1) % 40]!, root)).toBe(false);
        expect(checkInclusion([...proof, root], index, size, leaves[index]!, root)).toBe(false);
        const old = (b % size) + 1;
        const oldRoot = await rangeRoot(node, 0, old);
        const consistency = await consistencyProof(node, old, size);
        expect(checkConsistency(consistency, old, size, oldRoot, root)).toBe(true);
        if (old < size) expect(checkConsistency(consistency, old, size, leafOf('ff'), root)).toBe(false);
      }),
    );
  });

  it('survives being saved at any size', () => {
    for (let size = 0; size < 20; size++) {
      const whole = new Frontier();
      let saved = new Frontier();
      for (let i = 0; i < 20; i++) {
        if (i === size) saved = Frontier.fromJson(saved.size, saved.toJson());
        whole.appendBinary(leafOf(`0${(i % 16).toString(16)}`));
        saved.appendBinary(leafOf(`0${(i % 16).toString(16)}`));
      }
      expect(saved.rootHex()).toBe(whole.rootHex());
    }
  });
});

describe('C2SP formats', () => {
  it('accepts the signed note of the Go package sumdb/note', () => {
    const verifier = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
    const note = parseNote(
      'If you think cryptography is the answer to your problem,\n' +
        "then you don't know what your problem is.\n\n" +
        '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
    );
    expect(isSignedBy(note, verifier)).toBe(true);
    expect(isSignedBy({ ...note, text: `${note.text}x` }, verifier)).toBe(false);
    expect(verifierKeyText(verifier)).toBe('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
  });

  it('computes the key id of the public Go checksum database', () => {
    const verifier = parseVerifierKey('sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8');
    expect(keyIdOf(verifier.name, 1, rawPublicKey(verifier.publicKey))).toBe('033de0ae');
  });

  it('reads the checkpoint of the tlog-cosignature specification and the time in its cosignature', () => {
    const note = parseNote(
      'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
        '\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n' +
        '\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n',
    );
    expect(parseTreeHead(note.text)).toEqual({
      origin: 'example.com/behind-the-sofa',
      size: 20_852_163,
      root: Buffer.from('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', 'base64').toString('hex'),
    });
    expect(note.signatures[1]!.keyId).toBe('8d66cf3f');
    expect(Number(note.signatures[1]!.bytes.readBigUInt64BE(0))).toBe(1_679_315_147);
  });

  it('cosigns with a time that cannot be changed', () => {
    const signer = testSigner('witness.example/w1', 4);
    const text = 'davy/shop\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
    const note = parseNote(`${text}\n${cosign(text, signer, 1_700_000_000)}`);
    expect(cosignedAt(note, signer)).toBe(1_700_000_000);
    note.signatures[0]!.bytes[7]! ^= 1;
    expect(cosignedAt(note, signer)).toBeNull();
  });

  it('names tiles as tlog-tiles does', () => {
    expect(tileIndexPath(1_234_067)).toBe('x001/x234/067');
    expect(tilePath(0, 0, 256)).toBe('tile/0/000');
    expect(tilePath(1, 273, 8)).toBe('tile/1/273.p/8');
  });

  it.each([
    ['no signatures', 'text\n'],
    ['no blank line', 'a\n\u2014 n AAAAAAA=\n'],
    ['a control character', 'a\u0007\n\n\u2014 n AAAAAAA=\n'],
    ['a signature without key id', 'a\n\n\u2014 n AAA=\n'],
    ['a dash that is none', 'a\n\n- n AAAAAAA=\n'],
    ['base64 that is not canonical', 'a\n\n\u2014 n AAAAAAB=\n'],
  ])('refuses a note with %s', (_, text) => {
    expect(() => parseNote(text)).toThrow(expect.objectContaining({ code: 'ledger/bad-checkpoint' }));
  });

  it.each(['', 'a b', 'a+b', 'a\u00a0b', 'a\nb'])('refuses the key name %j', (name) => {
    expect(isKeyName(name)).toBe(false);
  });
});
